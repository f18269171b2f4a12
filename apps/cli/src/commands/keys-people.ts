import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import type { AuditCheck } from '#lib/client';
import { isWholeSafety } from '#lib/crypto';
import { Device } from '../device.ts';
import { NEXT } from '../next-step.ts';
import { type Common, nobodyAt, tell, withExamples } from '../options.ts';
import { qrLines } from '../qr-lines.ts';
import { Refused } from '../refused.ts';

/** `lockstep keys find` */
export const find = withExamples(
  new Command('find')
    .description('look people up by verified address, and remember their identities')
    .argument('<addresses...>'),
  ['keys find bob@example.org carol@example.org'],
).action(async (addresses: string[], _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  const found = await device.keys.discover(addresses);
  const people = [...found].map(([email, { uid, publicJwk, isNew, isChecked }]) => ({
    ...{ email, uid, key: publicJwk.kid, isNew, isChecked },
  }));
  const lines = people.map(({ email, uid, key }) => `${email}  ${uid}  ${key}`);
  if (lines.length > 0 || options.json === true) tell(options, people, lines);
  const missing = addresses.filter((email) => !found.has(email));
  if (missing.length > 0) throw nobodyAt(missing);
});

const UID = /^[0-9a-f]{32}$/;

/**
 * @param accepts - takes whoever is there now in place of whom one knew
 * @throws Refused when nobody has this address
 */
async function uidOf({ keys }: Device, who: string, accepts: boolean): Promise<string> {
  if (UID.test(who)) return accepts ? (await keys.contacts.accept(who)).uid : who;
  if (!who.includes('@')) throw new Refused(`${who} is neither an address nor a uid.`, 2);
  const contact = accepts
    ? await keys.contacts.acceptAt(who)
    : (await keys.discover([who])).get(who);
  if (!contact) throw nobodyAt([who]);
  return contact.uid;
}

interface Verify extends Common {
  number?: string;
  accept?: boolean;
}

/** `lockstep keys verify` */
export const verify = withExamples(
  new Command('verify')
    .description('compare identities with somebody: the same 60 digits on both sides')
    .argument('<who>', 'an address, or a uid')
    .option('--number <digits>', 'what the other side has, instead of asking')
    .option('--accept', 'take the identity that is shown now in place of the one you knew'),
  [
    'keys verify bob@example.org',
    'keys verify bob@example.org --number "30035 44776 …"',
    'keys verify 6aa248931704886f54ac64b81b111bc0 --accept',
  ],
).action(async (who: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Verify>();
  if (options.number !== undefined && !isWholeSafety(options.number)) {
    throw new Refused('A safety number has 60 digits: it was not copied whole.', 2);
  }
  const device = await Device.open(options);
  const { contacts } = device.keys;
  const uid = await uidOf(device, who, options.accept === true);
  if (uid === device.app.uid)
    throw new Refused('That is you: numbers are compared with others.', 2);
  const { number, code, isChecked } = await contacts.safety(uid);
  const said = options.number ?? (await ask(options, { number, code, who }));
  if (said !== undefined && !(await contacts.compare(uid, said))) {
    throw new Refused('The numbers differ: one of you has another key than the other thinks.');
  }
  const isNow = isChecked || said !== undefined;
  const words = [
    ...(said === undefined ? [spaced(number), ...qrLines(code)] : []),
    isNow
      ? `${who} was compared.`
      : `${who} was not compared yet. If the other side has the same: --number "<60 digits>"`,
  ];
  tell(options, { uid, number, code, isChecked: isNow }, words);
});

const spaced = (number: string) => number.match(/.{5}/g)?.join(' ') ?? number;

/** @returns the number, when the person says that it is the same; undefined when nobody can be asked */
async function ask(
  { json }: Common,
  { number, code, who }: { number: string; code: string; who: string },
): Promise<string | undefined> {
  if (json === true || !process.stdin.isTTY) return undefined;
  process.stdout.write([spaced(number), ...qrLines(code), ''].join('\n'));
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question(`Does ${who} see the same number? [y/N] `);
    if (/^y(?:es)?$/i.test(answer.trim())) return number;
    throw new Refused('Nothing was remembered.');
  } finally {
    terminal.close();
  }
}

const CURSOR = /^\d{1,15}$/;

/** `lockstep keys watch` */
export const watch = withExamples(
  new Command('watch')
    .description('tell who, of the people you met, changed their keys since the last time')
    .option(
      '--since <cursor>',
      'what an earlier call told; left out: everybody, as their keys are now',
    ),
  ['keys watch --json', 'keys watch --since 1795305229337'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common & { since?: string }>();
  if (options.since !== undefined && !CURSOR.test(options.since)) {
    throw new Refused('--since is the number that an earlier call told at its end.', 2);
  }
  const device = await Device.open(options);
  const known = (await device.keys.contacts.known()).slice(0, 500);
  const uids = known.map(({ uid }) => uid);
  if (uids.length === 0) throw new Refused('You have met nobody yet: lockstep keys find ADDRESS');
  const { changed, refused, cursor } = await device.keys.changes(uids, options.since);
  const people = changed.map(({ uid, version, isChecked }) => ({ uid, version, isChecked }));
  const lies = refused.map(({ uid, error }) => ({ uid, code: error.code, reason: error.message }));
  const names = new Map(known.map(({ uid, name }) => [uid, name]));
  const called = (uid: string) => [uid, names.get(uid)].filter(Boolean).join('  ');
  tell(options, { changed: people, refused: lies, cursor }, [
    ...people.map(({ uid, version }) => `${called(uid)}  version ${version}`),
    ...lies.map(({ uid, reason }) => `${called(uid)}  REFUSED  ${reason}`),
    `since ${cursor}`,
  ]);
  if (lies.length > 0) process.exitCode = 4;
});

const VERDICTS: Record<AuditCheck['verdict'], string> = { ok: 'ok  ', ask: 'ASK ', lie: 'LIE ' };

/** `lockstep keys audit` */
export const audit = withExamples(
  new Command('audit')
    .description(
      'check all that the server says of your keys and of the people you met; exit code 4 on a lie, or when your own keys are of before a password reset',
    )
    .option(
      '--restore',
      'first write the record of people that does not open anew, with those whom this computer knows',
    ),
  ['keys audit', 'keys audit --json'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common & { restore?: boolean }>();
  const device = await Device.open(options);
  if (options.restore === true) await device.keys.contacts.restore();
  const { checks, isSound } = await device.keys.audit();
  const told = checks.map(({ what, detail, verdict, error }) => ({
    ...{ what, detail, verdict },
    ...(error && { code: error.code }),
  }));
  const lines = checks.map(({ what, detail, verdict, error }) => {
    const next = verdict === 'ask' && error && NEXT[error.code];
    return `${VERDICTS[verdict]} ${what}: ${[detail, next].filter(Boolean).join(' ')}`;
  });
  tell(options, { isSound, checks: told }, lines);
  if (!isSound) process.exitCode = 4;
});
