/** Prepares the clone, then becomes the program named first: `node bin/run.mjs apps/demo/src/main.js …` */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, install, loadSettings, root } from './prepare.mjs';

loadSettings();
install();
build();
process.setSourceMapsEnabled(true);
const program = join(root, 'dist', process.argv[2]);
process.argv.splice(1, 2, program);
await import(pathToFileURL(program).href);
