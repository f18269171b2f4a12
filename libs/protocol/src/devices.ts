import { z } from 'zod';
import { ClientId, Hex32 } from './text.ts';

/** A device's id: 16 random bytes as 32 lower-case hex digits, chosen by the server. */
export const DeviceId = z.string().regex(/^[0-9a-f]{32}$/);

export const DeviceType = z.enum(['desktop', 'mobile', 'tablet', 'vr', 'tv']);
export type DeviceType = z.infer<typeof DeviceType>;

/** What a device is called: any script and symbol, but nothing that a terminal would obey. */
const DeviceName = z
  .string()
  .max(255)
  .regex(/^(?=.*\S)[^\p{Cc}\p{Cs}]+$/u, 'Must be a name without control characters');

/** A command that a device takes: a URL by custom. */
const CommandName = z.string().regex(/^[A-Za-z0-9._/:-]{1,100}$/);

/** What each command is for the other devices: opaque text, such as encrypted keys. */
const AvailableCommands = z
  .record(CommandName, z.string().max(4096))
  .refine((commands) => Object.keys(commands).length <= 32, 'At most 32 commands');

/** POST /auth/v1/account/device: a new device, or with `id` what is to change of one. */
export const PutDevice = z.object({
  id: DeviceId.optional(),
  name: DeviceName.nullish(),
  type: DeviceType.nullish(),
  /** Where a push service takes messages for the device: https. Empty or null for nowhere. */
  pushCallback: z.string().max(1024).nullish(),
  /** A point of P-256, 65 bytes. */
  pushPublicKey: z
    .string()
    .regex(/^(?:[A-Za-z0-9_-]{87}=?)?$/)
    .nullish(),
  /** 16 bytes. */
  pushAuthKey: z
    .string()
    .regex(/^(?:[A-Za-z0-9_-]{22}(?:==)?)?$/)
    .nullish(),
  /** Replaces all of them; null for none. */
  availableCommands: AvailableCommands.nullish(),
});
export type PutDevice = z.infer<typeof PutDevice>;

/** A device as its account's other devices see it. */
export const Device = z.object({
  id: DeviceId,
  name: z.string(),
  type: DeviceType,
  isCurrentDevice: z.boolean(),
  /** Milliseconds since 1970, late by 10 minutes at most. */
  lastAccessTime: z.number().int(),
  pushCallback: z.string().nullable(),
  pushPublicKey: z.string().nullable(),
  pushAuthKey: z.string().nullable(),
  /** Whether the push service said that the address is gone: the device has to subscribe again. */
  pushEndpointExpired: z.boolean(),
  availableCommands: z.record(z.string(), z.string()),
  /** Always empty: nobody is located here. */
  location: z.object({}),
});
export type Device = z.infer<typeof Device>;

/** Milliseconds since 1970, as a query's text: devices that were not used since are left out. */
export const IdleSince = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number)
  .optional();
export type IdleSince = z.infer<typeof IdleSince>;

/** POST /auth/v1/account/device/rename: any device of the account, which stays its session's. */
export const RenameDevice = z.object({ id: DeviceId, name: DeviceName });
export type RenameDevice = z.infer<typeof RenameDevice>;

/** POST /auth/v1/account/device/destroy */
export const DestroyDevice = z.object({ id: DeviceId });
export type DestroyDevice = z.infer<typeof DestroyDevice>;

/** What can be signed out: a session, an app with its refresh token, with or without a device. */
export const AttachedClient = z.object({
  clientId: z.string().nullable(),
  deviceId: DeviceId.nullable(),
  /** Names the session, and opens nothing. */
  sessionTokenId: Hex32.nullable(),
  /** Names the grant that the refresh token is of, and opens nothing. */
  refreshTokenId: Hex32.nullable(),
  isCurrentSession: z.boolean(),
  deviceType: DeviceType.nullable(),
  name: z.string().nullable(),
  /** Milliseconds since 1970. */
  createdTime: z.number().int(),
  lastAccessTime: z.number().int(),
  scope: z.array(z.string()).nullable(),
  location: z.object({}),
  userAgent: z.string(),
  os: z.string().nullable(),
});
export type AttachedClient = z.infer<typeof AttachedClient>;

/** POST /auth/v1/account/attached_client/destroy: at least one; all must name the same. */
export const DestroyAttachedClient = z
  .object({
    clientId: ClientId.nullish(),
    sessionTokenId: Hex32.nullish(),
    refreshTokenId: Hex32.nullish(),
    deviceId: DeviceId.nullish(),
  })
  .refine(
    (asked) => Object.values(asked).some((id) => typeof id === 'string'),
    'Must name a device, a session, a refresh token or an app',
  );
export type DestroyAttachedClient = z.infer<typeof DestroyAttachedClient>;

/** Text of a query: a whole number that a double holds exactly. */
const Count = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);

/** GET /auth/v1/account/device/commands: the first index that is wanted. */
export const CommandIndex = Count.optional();
export type CommandIndex = z.infer<typeof CommandIndex>;

/** GET /auth/v1/account/device/commands: how many at most; never more than 100. */
export const CommandLimit = Count.optional();
export type CommandLimit = z.infer<typeof CommandLimit>;

/** Bytes of a command's payload as JSON. */
export const COMMAND_BYTES_MAX = 32_768;
/** Bytes of a pushed payload as JSON: with its encryption, one message of a push service (4096). */
export const PUSH_BYTES_MAX = 3072;

const sizeOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).length;

const payloadUpTo = (bytes: number) =>
  z
    .record(z.string(), z.unknown())
    .refine((payload) => sizeOf(payload) <= bytes, `At most ${bytes} bytes as JSON`);

/** POST /auth/v1/account/devices/invoke_command */
export const InvokeCommand = z.object({
  target: DeviceId,
  command: CommandName,
  /** Opaque: devices encrypt to each other. */
  payload: payloadUpTo(COMMAND_BYTES_MAX),
  /** Seconds; never more than 30 days. */
  ttl: z.number().int().min(0).max(10_000_000).optional(),
});
export type InvokeCommand = z.infer<typeof InvokeCommand>;

/** The answer of invoke_command. The command is stored, whether the device was told or not. */
export const Invoked = z.object({
  enqueued: z.literal(true),
  notified: z.boolean(),
  notifyError: z.string().optional(),
});
export type Invoked = z.infer<typeof Invoked>;

/** GET /auth/v1/account/device/commands */
export const DeviceCommands = z.object({
  /** Of the last message here; without any, one less than was asked for. */
  index: z.number().int(),
  /** Whether nothing follows the last message here. */
  last: z.boolean(),
  messages: z.array(
    z.object({
      index: z.number().int(),
      data: z.object({
        command: z.string(),
        payload: z.record(z.string(), z.unknown()),
        /** The device it is from; an app without a device has none. */
        sender: DeviceId.optional(),
      }),
    }),
  ),
});
export type DeviceCommands = z.infer<typeof DeviceCommands>;

/** POST /auth/v1/account/devices/notify */
export const NotifyDevices = z.object({
  to: z.union([z.literal('all'), z.array(DeviceId).max(100)]),
  excluded: z.array(DeviceId).max(100).optional(),
  payload: payloadUpTo(PUSH_BYTES_MAX),
  /** Seconds that a push service may keep it. */
  TTL: z.number().int().min(0).max(10_000_000).default(0),
});
export type NotifyDevices = z.infer<typeof NotifyDevices>;
