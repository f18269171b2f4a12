import { z } from 'zod';
import { Failure, NodeHealth } from '#lib/protocol';
import { nodeTables, NodesService } from '../nodes/nodes.service.ts';
import { NodeClientService } from '../platform/node-client.service.ts';
import { NodeSignaturesService } from '../platform/node-signatures.service.ts';
import { type OperatorTools, runOperatorProgram } from '../platform/operator-program.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { MovesService } from './moves.service.ts';
import { StorageUserEntity } from './storage-user.entity.ts';
import { StoreMoveEntity } from './store-move.entity.ts';

/*
 * The operator's `lockstep nodes …` and `lockstep users move …`: talks to the front's database, and
 * to the nodes as the front does. Takes what to do as JSON, and prints lines, or with `json` one
 * line of it.
 */
const node = z.string();
const Task = z.intersection(
  z.object({ json: z.boolean().default(false) }),
  z.discriminatedUnion('action', [
    z.object({ action: z.literal('list') }),
    z.object({ action: z.literal('add'), url: z.string() }),
    z.object({ action: z.literal('drain'), node }),
    z.object({ action: z.literal('remove'), node, force: z.boolean().default(false) }),
    z.object({
      ...{ action: z.literal('set'), node },
      downed: z.boolean().optional(),
      backoffSeconds: z.number().int().min(0).max(31_536_000).optional(),
    }),
    z.object({ action: z.literal('move'), user: z.string(), to: z.string().optional() }),
  ]),
);
interface Tools extends OperatorTools<z.infer<typeof Task>> {
  nodes: NodesService;
  moves: MovesService;
  client: NodeClientService;
}

const AT_A_TIME = 4;
const PASSES = 3;

await runOperatorProgram(
  process.env,
  Task,
  { entities: [...nodeTables, StorageUserEntity, StoreMoveEntity] },
  async (tools) => {
    const { db, config, clock } = tools;
    const settings = new SettingsService(db, config);
    const signatures = new NodeSignaturesService(settings, config, clock);
    const client = new NodeClientService(signatures, config);
    const nodes = new NodesService(db, config, clock);
    const moves = new MovesService(db, nodes, client, clock);
    await run({ ...tools, nodes, moves, client });
  },
);

async function run(tools: Tools): Promise<void> {
  const { task: what, nodes, clock, say } = tools;
  switch (what.action) {
    case 'list':
      return list(tools);
    case 'add':
      return add(tools, what.url.replace(/\/$/, ''));
    case 'drain':
      return drain(tools, (await nodes.get(what.node)).name);
    case 'remove': {
      const { name } = await nodes.get(what.node);
      await nodes.remove(name, what.force);
      say({ node: name }, [`${name} is removed.`]);
      return;
    }
    case 'set': {
      const { name } = await nodes.get(what.node);
      const { downed, backoffSeconds } = what;
      // Who is wanted again is not being emptied, either.
      if (downed !== undefined)
        await nodes.set(name, downed ? { downed } : { downed, draining: false });
      if (backoffSeconds !== undefined) {
        const until = new Date(clock.now().getTime() + backoffSeconds * 1000);
        await nodes.set(name, { backoffUntil: backoffSeconds > 0 ? until : null });
      }
      return list(tools);
    }
    case 'move':
      return move(tools, what.user, what.to);
  }
}

async function list({ nodes, say }: Tools): Promise<void> {
  const rows = (await nodes.list()).map((one) => ({
    node: one.name,
    url: nodes.addressOf(one),
    stores: one.currentLoad,
    capacity: one.capacity,
    state: nodes.stateOf(one),
  }));
  const table = rows.map(({ node: name, url, stores, capacity, state }) =>
    [name.padEnd(16), state.padEnd(10), `${stores}/${capacity}`.padEnd(16), url].join(' '),
  );
  say(rows, table.length > 0 ? table : ['There is no node.']);
}

async function add({ nodes, client, say }: Tools, url: string): Promise<void> {
  const health = await client.call(url, ['GET', '/health'], NodeHealth, { ms: 10_000 });
  if (health.url !== url) {
    throw new Failure('conflict', `The node says that its address is ${health.url}.`);
  }
  await nodes.add(health, true);
  say({ node: health.name }, [`${health.name} is added.`]);
}

async function drain({ nodes, moves, say, complain }: Tools, name: string): Promise<void> {
  await nodes.set(name, { draining: true });
  let moved = 0;
  for (let pass = 0; pass < PASSES; pass++) {
    const uids = await moves.storesOn(name);
    const worker = async () => {
      for (let uid = uids.pop(); uid !== undefined; uid = uids.pop()) {
        try {
          await moves.move(uid);
          moved += 1;
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          complain(error.code, `${uid}: ${error.message}`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  }
  const left = (await moves.storesOn(name)).length;
  say({ node: name, moved, left }, [`${moved} stores moved from ${name}, ${left} left.`]);
  process.exitCode = left === 0 ? 0 : 1;
}

async function move(
  { nodes, moves, say }: Tools,
  user: string,
  to: string | undefined,
): Promise<void> {
  const target = to === undefined ? undefined : (await nodes.get(to)).name;
  const uids = /^[1-9]\d{0,15}$/.test(user) ? [Number(user)] : await moves.storesOf(user);
  if (uids.length === 0) throw new Failure('not-found', `${user} has no store.`);
  for (const uid of uids) {
    const moved = await moves.move(uid, target);
    say(moved, [
      `store ${uid}: ${moved.records} records from ${moved.from} to ${moved.to}, ` +
        `no writing for ${moved.pausedMs} ms`,
    ]);
  }
}
