import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
process.argv.splice(2, 0, 'apps/server/src/main.js');
await import('./run.mjs');
