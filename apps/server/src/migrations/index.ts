import { Setting1764000000000 } from './1764000000000-setting.ts';
import { Account1764000000001 } from './1764000000001-account.ts';
import { Oidc1764000000002 } from './1764000000002-oidc.ts';
import { TokenServer1764000000003 } from './1764000000003-token-server.ts';
import { Storage1764000000004 } from './1764000000004-storage.ts';
import { KeyList1764000000005 } from './1764000000005-key-list.ts';
import { File1764000000006 } from './1764000000006-file.ts';
import { Deposit1764000000007 } from './1764000000007-deposit.ts';
import { DepositBytes1764000000009 } from './1764000000009-deposit-bytes.ts';
import { TokenGeneration1764000000010 } from './1764000000010-token-generation.ts';
import { StorageHold1764000000011 } from './1764000000011-storage-hold.ts';
import { StorageNode1764000000012 } from './1764000000012-storage-node.ts';
import { Password1764000000013 } from './1764000000013-password.ts';
import { Device1764000000014 } from './1764000000014-device.ts';
import { OAuthProfile1764000000015 } from './1764000000015-oauth-profile.ts';
import { AccountSafety1764000000016 } from './1764000000016-account-safety.ts';
import { Deletion1764000000017 } from './1764000000017-deletion.ts';
import { StorageFaster1764000000020 } from './1764000000020-storage-faster.ts';
import { Authority1764000000021 } from './1764000000021-authority.ts';
import { Consent1764000000022 } from './1764000000022-consent.ts';
import { App1764000000023 } from './1764000000023-app.ts';
import { SecondFactor1764000000024 } from './1764000000024-second-factor.ts';
import { KeyService1764000000026 } from './1764000000026-key-service.ts';
import { AppKey1764000000028 } from './1764000000028-app-key.ts';
import { KeyBudget1764000000029 } from './1764000000029-key-budget.ts';

/** In the order they run. A published migration is never edited: add the next one. */
export const migrations = [
  Setting1764000000000,
  Account1764000000001,
  Oidc1764000000002,
  TokenServer1764000000003,
  Storage1764000000004,
  KeyList1764000000005,
  File1764000000006,
  Deposit1764000000007,
  DepositBytes1764000000009,
  TokenGeneration1764000000010,
  StorageHold1764000000011,
  StorageNode1764000000012,
  Password1764000000013,
  Device1764000000014,
  OAuthProfile1764000000015,
  AccountSafety1764000000016,
  Deletion1764000000017,
  StorageFaster1764000000020,
  Authority1764000000021,
  Consent1764000000022,
  App1764000000023,
  SecondFactor1764000000024,
  KeyService1764000000026,
  AppKey1764000000028,
  KeyBudget1764000000029,
];
