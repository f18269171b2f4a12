/**
 * The client: accounts, an app's tokens and keys, and what an app does with them. It runs in a browser and in
 * Node, and speaks to the server over HTTP alone.
 *
 * | class | holds | never sees |
 * | --- | --- | --- |
 * | Account | password-derived keys, kA, kB | – |
 * | Lockstep | signs people in to an app, keeps that | password, kB |
 * | App | kBr of one app, tokens | password, kB |
 * | Keys, Storage, Files, Sharing | an App | password, kB |
 *
 * @module
 */
export { Account, type Credentials, type MasterKeys } from './account.ts';
export { App, type SavedApp, type Started } from './app.ts';
export { type AppRequest } from './app-request.ts';
export { type AppStore, MemoryAppStore } from './app-store.ts';
export { approveDevice, authorize, type Authorized } from './authorization.ts';
export { BrowserAppStore } from './browser-app-store.ts';
export { ClientError, IntegrityError, type IntegrityCode } from './client-error.ts';
export { type DevicePrompt, startOnDevice, type StartedOnDevice } from './device-grant.ts';
export { type LostDevice, replaceAppKey, type Replaced } from './device-lost.ts';
export { DpopKey } from './dpop.ts';
export { Files, type FileReference, type Upload } from './files.ts';
export { Http, type Ask, type Signable } from './http.ts';
export { Contacts, type Known, type Safety, type Watched } from './contacts.ts';
export { type Audit, type AuditCheck } from './key-audit.ts';
export { type RevocationReason } from './key-draft.ts';
export { type HistoryEntry } from './key-history.ts';
export { type Contact, type KeyHolder } from './contact.ts';
export { Keys, type KeysOptions } from './keys.ts';
export { checkOwn, type OwnKey, type OwnPair } from './own-keys.ts';
export { paddedLength } from './padding.ts';
export { Lockstep, type LockstepOptions, type SessionStore } from './lockstep.ts';
export { MemoryPinStore, Pin, type PinKey, pinName, pinsOf, type PinStore } from './pin-store.ts';
export { type Platform, type PlatformOptions } from './platform.ts';
export { deriveScopedKeys, type ScopedKey, sealKeysFor } from './scoped-keys.ts';
export { Server } from './server.ts';
export { Sharing, type InboxItem, type RefusedItem } from './sharing.ts';
export { SyncedPinStore } from './synced-pins.ts';
export { Storage, type OpenedRecord, type Page, type RefusedRecord } from './storage.ts';
export { Tokens, type SavedTokens, type Target, type TokenKeeper } from './tokens.ts';
export { type CollectionProgress, type CollectionReport } from './sync/collection-sync.ts';
export {
  type LocalList,
  type LocalRecords,
  recordDigest,
  type SyncRecord,
} from './sync/local-records.ts';
export { type Ready, type SyncClientInput, type SyncReport } from './sync/sync-client.ts';
export { SyncMemory, type SyncMemoryKeeper } from './sync/sync-memory.ts';
export { SyncStop, type SyncStopCode } from './sync/sync-stop.ts';
export { FIREFOX_CLIENT_ID } from './sync/sync-store.ts';
export { Tier1Client, type Rotated } from './sync/tier-1.ts';
export { Tier2Client } from './sync/tier-2.ts';
