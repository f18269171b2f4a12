/**
 * What the client needs of Node, for programs on a computer: files that are their owner's alone, a place for the
 * browser to come back to, OpenSSL. Everything of `#lib/client` is here, too.
 *
 * @module
 */
export * from '#lib/client';
export { FileAppStore } from './file-app-store.ts';
export { locked } from './file-lock.ts';
export { signInByLoopback } from './loopback.ts';
export { nodePlatform } from './node-platform.ts';
export {
  configFolder,
  makePrivateFolder,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from './private-file.ts';
