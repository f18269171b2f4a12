import { z } from 'zod';
import {
  ChangeKeySettings,
  ClaimedPackage,
  ClaimPackage,
  Discover,
  Discovered,
  type FailureCode,
  failureStatuses,
  KeyEvents,
  KeyHistory,
  KeyHistoryQuery,
  KeysConfig,
  KeySettingsNow,
  LookUp,
  OwnKeys,
  PackagesNow,
  PublicKeys,
  PublishKeys,
  PublishPackages,
  RevokeKey,
  Uid,
  Watch,
  WatchQuery,
} from '#lib/protocol';

/** What one request is, asks and answers. */
interface Operation {
  method: 'get' | 'post' | 'put';
  /** Below `/keys/v1`, with `{names}`. */
  path: string;
  summary: string;
  /** The scope that a token needs; none for requests without a token. */
  scope?: string;
  params?: Record<string, z.ZodType>;
  query?: z.ZodObject;
  headers?: Record<string, string>;
  body?: z.ZodType;
  /** By status; null for an answer without a body. */
  answers: Record<number, z.ZodType | null>;
  failures: FailureCode[];
  /** Also answered as `text/event-stream`. */
  streams?: boolean;
}

const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  retryAfter: z.int().optional(),
});
const ifNoneMatch = { 'If-None-Match': 'The entity tag of what is known: then 304.' };
/** Of every request with a token. */
const tokens: FailureCode[] = ['unauthenticated', 'wrong-audience', 'insufficient-scope'];
/** Of every request with a body. */
const bodies: FailureCode[] = ['malformed', 'too-large', 'unsupported-media-type'];
const lookUps: FailureCode[] = ['forbidden', 'too-many-requests'];

const operations: readonly Operation[] = [
  {
    ...{ method: 'get', path: '/config', summary: 'Realm, algorithms and limits' },
    ...{ answers: { 200: KeysConfig }, failures: [] },
  },
  {
    ...{ method: 'get', path: '/openapi.json', summary: 'This document' },
    ...{ answers: { 200: z.record(z.string(), z.unknown()) }, failures: [] },
  },
  {
    ...{ method: 'put', path: '/me', summary: 'Publish a list', scope: 'keys:write' },
    headers: {
      'If-None-Match': '`*` for the first list.',
      'If-Match': 'The entity tag of the list that is replaced.',
    },
    ...{ body: PublishKeys, answers: { 200: PublicKeys, 201: PublicKeys } },
    failures: [
      ...[...bodies, 'invalid-key-list', 'precondition-failed', 'precondition-required'],
      ...['signature-required', 'stale-key-generation', 'step-up-required', 'too-many-requests'],
    ] as FailureCode[],
  },
  {
    ...{ method: 'get', path: '/me', summary: 'One’s own list', scope: 'keys:read' },
    ...{ headers: ifNoneMatch, answers: { 200: OwnKeys, 304: null }, failures: ['not-found'] },
  },
  {
    ...{ method: 'get', path: '/me/history', summary: 'One’s own lists', scope: 'keys:read' },
    ...{ query: KeyHistoryQuery, answers: { 200: KeyHistory } },
    failures: ['malformed', 'not-found'],
  },
  {
    ...{ method: 'put', path: '/me/settings', summary: 'Who finds one', scope: 'keys:write' },
    ...{ body: ChangeKeySettings, answers: { 200: KeySettingsNow } },
    failures: [...bodies, 'not-found', 'invalid-key-list', 'signature-required', 'conflict'],
  },
  {
    ...{ method: 'post', path: '/revocations', summary: 'Revoke a key by token' },
    ...{ body: RevokeKey, answers: { 204: null } },
    failures: [...bodies, 'invalid-revocation', 'conflict', 'too-many-requests'],
  },
  {
    ...{ method: 'get', path: '/users/{uid}', summary: 'One user', scope: 'keys:discover' },
    ...{ params: { uid: Uid }, headers: ifNoneMatch, answers: { 200: PublicKeys, 304: null } },
    failures: ['malformed', 'not-found', ...lookUps],
  },
  {
    ...{ method: 'post', path: '/lookups', summary: 'Several users', scope: 'keys:discover' },
    ...{ body: LookUp, answers: { 200: Discovered }, failures: [...bodies, ...lookUps] },
  },
  {
    ...{ method: 'post', path: '/discoveries', summary: 'By address', scope: 'keys:discover' },
    ...{ body: Discover, answers: { 200: Discovered }, failures: [...bodies, ...lookUps] },
  },
  {
    ...{ method: 'get', path: '/events', summary: 'Changes', scope: 'keys:discover' },
    headers: { 'Last-Event-ID': 'Where a stream ended.' },
    ...{ query: WatchQuery, answers: { 200: KeyEvents }, streams: true },
    failures: ['malformed', 'unavailable', ...lookUps],
  },
  {
    ...{ method: 'post', path: '/events', summary: 'Changes of many', scope: 'keys:discover' },
    headers: { 'Last-Event-ID': 'Where a stream ended.' },
    ...{ body: Watch, answers: { 200: KeyEvents }, streams: true },
    failures: [...bodies, 'unavailable', ...lookUps],
  },
  {
    ...{ method: 'post', path: '/packages', summary: 'Publish packages', scope: 'keys:write' },
    ...{ body: PublishPackages, answers: { 200: PackagesNow } },
    failures: [
      ...[...bodies, 'forbidden', 'invalid-package', 'signature-required'],
      ...['conflict', 'over-quota'],
    ] as FailureCode[],
  },
  {
    ...{ method: 'post', path: '/packages/claims', summary: 'Claim one', scope: 'keys:discover' },
    ...{ body: ClaimPackage, answers: { 200: ClaimedPackage }, failures: [...bodies, ...lookUps] },
  },
];

type Json = Record<string, unknown>;

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const made = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  delete made['$schema']; // one for the whole document
  return made;
};

/**
 * The OpenAPI document of the Key Service, from the schemas that the server itself goes by.
 *
 * @param origin - of the server, without a slash at the end
 */
export function openApi(origin: string): Json {
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method]: describe(operation),
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Key Service', version: '1', description: 'docs/protocol/keys.md' },
    servers: [{ url: `${origin}/keys/v1` }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: schemaOf(Problem, 'output') },
    },
  };
}

function describe({ summary, scope, body, streams = false, ...operation }: Operation): Json {
  const parameters = [
    ...Object.entries(operation.params ?? {}).map(([name, schema]) => ({
      ...{ name, in: 'path', required: true, schema: schemaOf(schema, 'input') },
    })),
    ...Object.entries(operation.query?.shape ?? {}).map(([name, schema]) => ({
      ...{ name, in: 'query', required: name === 'uid' },
      schema: schemaOf(schema as z.ZodType, 'input'),
    })),
    ...Object.entries(operation.headers ?? {}).map(([name, description]) => ({
      ...{ name, in: 'header', description, schema: { type: 'string' } },
    })),
  ];
  return {
    summary,
    ...(parameters.length > 0 && { parameters }),
    security: scope === undefined ? [] : [{ token: [scope] }],
    ...(body && { requestBody: { required: true, content: json(schemaOf(body, 'input')) } }),
    responses: responsesOf(operation, scope, streams),
  };
}

const json = (schema: Json): Json => ({ 'application/json': { schema } });

function responsesOf(
  { answers, failures }: Pick<Operation, 'answers' | 'failures'>,
  scope: string | undefined,
  streams: boolean,
): Json {
  const responses: Json = {};
  for (const [status, schema] of Object.entries(answers)) {
    const content = schema && {
      ...json(schemaOf(schema, 'output')),
      ...(streams && { 'text/event-stream': { schema: { type: 'string' } } }),
    };
    responses[status] = { description: DESCRIPTIONS[status] ?? '', ...(content && { content }) };
  }
  const codes = [...(scope === undefined ? [] : tokens), ...failures];
  for (const status of new Set(codes.map((code) => failureStatuses[code]))) {
    const named = codes.filter((code) => failureStatuses[code] === status);
    responses[status] = {
      description: named.join(', '),
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
  return responses;
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  200: 'Done',
  201: 'Published',
  204: 'Done',
  304: 'As it was',
};
