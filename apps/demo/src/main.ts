import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { nodePlatform } from '#lib/client-node';
import { progress } from '../../cli/src/progress.ts';
import { Journey, type Step } from './journey.ts';
import { RealFile } from './real-file.ts';
import { RunningServer } from './running-server.ts';

interface Options {
  url?: string;
  data?: string;
  json?: boolean;
}

const program = new Command('npm run demo --')
  .description(
    'People share a file that the server cannot read: the whole journey, in seven steps.',
  )
  .argument('[file]', 'the file to share; without it, 32 MiB of random bytes')
  .option('--url <url>', 'a server that runs already; without it, the demo starts one')
  .option('--data <dir>', 'the data folder of the server, for its mail and the last step')
  .option('--json', 'one JSON object for each step, on standard output')
  .addHelpText('after', '\nExamples:\n  npm run demo\n  npm run demo -- photo.jpg --json')
  .parse();

const options = program.opts<Options>();
const [path] = program.args;

const scratch = await mkdtemp(join(tmpdir(), 'lockstep-file-'));
let server: RunningServer | undefined;
let isOver: Promise<void> | undefined;

/** However the demo ends, its server and its files go. */
function cleanUp(): Promise<void> {
  isOver ??= (async () => {
    await server?.stop();
    await rm(scratch, { recursive: true, force: true });
  })();
  return isOver;
}
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    void cleanUp().finally(() => process.exit(code));
  });
}

try {
  process.exitCode = (await run()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}

async function run(): Promise<boolean> {
  const file =
    path === undefined ? await RealFile.make(join(scratch, 'random.bin')) : await RealFile.at(path);
  if (options.url === undefined) {
    tell('Starting a server …');
    // It listens on this machine alone, whatever policy the environment sets for another.
    server = await RunningServer.start(options.data, { SIGN_UP: 'open' });
  }
  const url = options.url ?? server?.url ?? '';
  const dataDir = options.data ?? server?.dataDir;
  tell(`The journey at ${url}, with ${file.name} (${file.size} bytes)\n`);
  const journey = new Journey({
    ...{ url, file, progress, platform: nodePlatform },
    place: { dataDir, databaseUrl: process.env['DATABASE_URL'] },
  });
  for (const [i, step] of journey.steps.entries()) {
    if (!(await take(i + 1, step))) return false;
  }
  return true;
}

async function take(number: number, step: Step): Promise<boolean> {
  const started = performance.now();
  let ok = true;
  let detail: string;
  let mark = '✓';
  try {
    const outcome = await step.run();
    detail = outcome.detail;
    if (outcome.skipped === true) mark = '–';
  } catch (error) {
    [ok, mark] = [false, '✗'];
    detail = error instanceof Error ? error.message : String(error);
    if (process.env['DEBUG'] !== undefined) console.error(error);
  }
  const ms = Math.round(performance.now() - started);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ step: number, name: step.name, ok, ms, detail })}\n`);
  } else {
    const name = step.name.padEnd(44);
    process.stdout.write(`${mark} ${number} ${name} ${`${ms} ms`.padStart(9)}   ${detail}\n`);
  }
  return ok;
}

function tell(text: string): void {
  if (options.json !== true) process.stdout.write(`${text}\n`);
}
