import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { en } from './src/strings/en.ts';

/** The account's pages: one script, one style sheet, no other host. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: '/',
  // Libraries are bundled from their sources, as the server's build makes its own.
  resolve: { conditions: ['source', 'browser', 'module'] },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('../../dist/apps/web', import.meta.url)),
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy of the pages allows no data: script or style
    modulePreload: false,
    target: 'es2022',
  },
  plugins: [
    {
      name: 'words-of-the-shell',
      transformIndexHtml: (html: string) => html.replace('%noScript%', en.noScript),
    },
  ],
});
