#!/usr/bin/env node
process.argv.splice(2, 0, 'apps/cli/src/main.js');
await import('./run.mjs');
