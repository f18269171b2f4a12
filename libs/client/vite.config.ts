import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** The client in one file, for pages and programs that have no build step: dist/sdk/lockstep.js. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: { conditions: ['source', 'browser', 'module'] },
  build: {
    outDir: fileURLToPath(new URL('../../dist/sdk', import.meta.url)),
    emptyOutDir: false,
    lib: { entry: 'src/index.ts', formats: ['es'], fileName: () => 'lockstep.js' },
    target: 'es2022',
  },
});
