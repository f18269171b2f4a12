/**
 * The client: accounts, an app's tokens and keys, and what an app does with them. It runs in a browser and in
 * Node, and speaks to the server over HTTP alone.
 *
 * | class | holds | never sees |
 * | --- | --- | --- |
 * | Account | password-derived keys, kA, kB | – |
 * | App | kBr of one app, tokens | password, kB |
 * | Keys, Storage, Files, Sharing | an App | password, kB |
 *
 * @module
 */
export { Account, type Credentials, type MasterKeys, type ScopedKey } from './account.ts';
export { App, type AppRequest, type SavedApp, type Started } from './app.ts';
export { authorize, type Authorized } from './authorization.ts';
export { ClientError, IntegrityError, type IntegrityCode } from './client-error.ts';
export { Files, type FileReference, type Upload } from './files.ts';
export { Http, type Ask, type Signable } from './http.ts';
export { Keys, type Contact, type OwnPair } from './keys.ts';
export { paddedLength } from './padding.ts';
export { MemoryPinStore, pinName, type Pin, type PinKey, type PinStore } from './pin-store.ts';
export { type Platform, type PlatformOptions } from './platform.ts';
export { Server } from './server.ts';
export { Sharing, type InboxItem, type RefusedItem } from './sharing.ts';
export { Storage, type OpenedRecord, type Page, type RefusedRecord } from './storage.ts';
export { Tokens, type SavedTokens, type TokenKeeper } from './tokens.ts';
