import { StorageToken } from '#lib/protocol';
import { NodeClientService } from '../../apps/server/src/platform/node-client.service.ts';
import { NodeWatchService } from '../../apps/server/src/nodes/node-watch.service.ts';
import { NodesService } from '../../apps/server/src/nodes/nodes.service.ts';
import { MovesService } from '../../apps/server/src/token/moves.service.ts';
import { caller, randomId, type TestCaller } from './caller.ts';
import { storageClient } from './storage.ts';
import { TestServer } from './test-server.ts';

const SYNC_MASTER_SECRET = 'a secret that the front and its nodes share';

/** A front and its storage nodes, each with tables of its own. */
export class Cluster {
  private constructor(
    readonly front: TestServer,
    readonly nodes: readonly TestServer[],
    /** What each node calls itself. */
    readonly names: readonly string[],
  ) {}

  static async start(
    size = 2,
    { node, front }: Partial<Record<'node' | 'front', Record<string, string>>> = {},
  ): Promise<Cluster> {
    const server = await TestServer.start({
      ...{ LOCKSTEP_ROLE: 'front', SYNC_MASTER_SECRET },
      ...front,
    });
    const nodes: TestServer[] = [];
    const names: string[] = [];
    for (let i = 0; i < size; i++) {
      const one = await Cluster.startNode(server.url, node);
      nodes.push(one);
      names.push((await Cluster.join(server, one)).name);
    }
    return new Cluster(server, nodes, names);
  }

  static startNode(frontUrl: string, environment: Record<string, string> = {}) {
    return TestServer.start({
      ...{ LOCKSTEP_ROLE: 'storage', SYNC_MASTER_SECRET, FRONT_URL: frontUrl },
      ...environment,
    });
  }

  /** Until the node has told the front that it is there, and the front has seen it. */
  static async join(front: TestServer, node: TestServer) {
    for (;;) {
      await front.app.get(NodeWatchService).check();
      const known = await front.app.get(NodesService).find(node.url);
      if (known?.seenAt) return known;
    }
  }

  get nodeTable(): NodesService {
    return this.front.app.get(NodesService);
  }
  get moves(): MovesService {
    return this.front.app.get(MovesService);
  }
  /** Signs as the front does. */
  get client(): NodeClientService {
    return this.front.app.get(NodeClientService);
  }

  /** Somebody with a key; visits the token server when asked to. */
  async user(): Promise<ClusterUser> {
    return new ClusterUser(this, await caller(this.front), `10-${randomId()}`);
  }

  /** @param address - of a node */
  nodeAt(address: string): TestServer {
    const node = this.nodes.find(({ url }) => address.startsWith(`${url}/`));
    if (!node) throw new Error(`There is no node at ${address}`);
    return node;
  }

  async stop(): Promise<void> {
    await this.front.stop();
    for (const node of this.nodes) await node.stop();
  }
}

/** A client that asks the token server where its store is. */
export class ClusterUser {
  constructor(
    private readonly cluster: Cluster,
    readonly who: TestCaller,
    public keyId: string,
  ) {}

  async visit() {
    const { front } = this.cluster;
    return front
      .request()
      .get('/token/1.0/sync/1.5')
      .set('authorization', await this.who.authorization('storage', ['storage']))
      .set('x-keyid', this.keyId);
  }

  async token(): Promise<StorageToken> {
    const { status, body } = await this.visit();
    if (status !== 200) throw new Error(`No token: ${status} ${JSON.stringify(body)}`);
    return StorageToken.parse(body);
  }

  /** Credentials for the node of the moment. */
  async connect() {
    const { id, key, uid, api_endpoint } = await this.token();
    const node = this.cluster.nodeAt(api_endpoint);
    const client = storageClient({
      ...{ url: node.url, id, key, uid },
      seconds: () => this.cluster.front.clock.seconds(),
    });
    return { ...client, node };
  }
}
