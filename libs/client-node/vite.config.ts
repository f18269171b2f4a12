import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** The client with what Node alone has, in one file: dist/sdk/lockstep-node.js. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: { conditions: ['source', 'node', 'module'] },
  ssr: { noExternal: true },
  build: {
    outDir: fileURLToPath(new URL('../../dist/sdk', import.meta.url)),
    emptyOutDir: false,
    ssr: 'src/index.ts',
    rollupOptions: { output: { format: 'es', entryFileNames: 'lockstep-node.js' } },
    target: 'node20',
  },
});
