import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { type WebSocket, WebSocketServer } from 'ws';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import type { Visitor } from '../platform/visitor.ts';
import { Channel, closing, type Sender } from './channel.ts';
import { type Upgrade, upgradeOf } from './upgrades.ts';

/** More than any browser says of itself. */
const AGENT_CHARACTERS = 300;

/**
 * Carries what two devices of a person say to each other while one signs the other in. They encrypt it with
 * a key that this server never sees: docs/protocol/pairing.md. In the memory of this process alone.
 */
@Injectable()
export class RelayService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('pairing');
  private readonly channels = new Map<string, Channel>();
  private readonly open = new Set<WebSocket>();
  private readonly server: WebSocketServer;
  private isStopping = false;
  private readonly job = new RepeatedJob(
    () => this.check(),
    (error) => {
      this.logger.warn({ event: 'pairing-not-checked', reason: String(error) });
    },
  );

  constructor(
    private readonly config: Config,
    private readonly clock: Clock,
  ) {
    this.server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: config.limits.pairingMessageBytesMax,
    });
  }

  onApplicationBootstrap(): void {
    this.job.start(this.config.limits.pairingPingSeconds * 1000);
  }

  /** Says goodbye to all, and waits until they are gone. */
  async onModuleDestroy(): Promise<void> {
    this.isStopping = true;
    await this.job.stop();
    const gone = [...this.open].map((socket) => new Promise((done) => socket.once('close', done)));
    for (const channel of this.channels.values()) channel.end('stopping', closing.stopping);
    await Promise.all(gone);
  }

  /**
   * Opens a channel for whoever asks.
   *
   * @throws Failure `unavailable` when there are too many, or the server stops
   */
  begin(request: FastifyRequest, visitor: Visitor): void {
    const { pairingChannelsMax, pairingChannelSeconds } = this.config.limits;
    if (this.isStopping || this.channels.size >= pairingChannelsMax) {
      throw new Failure('unavailable', 'No more devices can be connected at the moment.', {
        headers: { 'retry-after': '60' },
      });
    }
    const channel = new Channel(
      this.config.limits,
      this.now() + pairingChannelSeconds * 1000,
      (why) => {
        this.channels.delete(channel.id);
        this.logger.log({ event: 'pairing-ended', why });
      },
    );
    this.connect(upgradeOf(request), request, visitor, channel);
  }

  /** @throws Failure `unknown-channel` */
  find(id: string): Channel {
    const channel = this.channels.get(id);
    if (!channel) throw unknownChannel();
    return channel;
  }

  /**
   * Joins a channel that somebody opened.
   *
   * @throws Failure `conflict` when another did already; `unknown-channel` when it ended since it was found: nothing
   *   would ever end what joins it now
   */
  join(request: FastifyRequest, visitor: Visitor, channel: Channel): void {
    if (channel.isOver) throw unknownChannel();
    if (channel.isFull) throw new Failure('conflict', 'Two devices are connected already.');
    this.connect(upgradeOf(request), request, visitor, channel);
  }

  private connect(
    { socket, head }: Upgrade,
    request: FastifyRequest,
    { address, agent }: Visitor,
    channel: Channel,
  ): void {
    const sender: Sender = {
      ua: agent.slice(0, AGENT_CHARACTERS),
      ...{ city: '', region: '', country: '' },
      remote: address,
    };
    // Before it returns, unless the request is no good, and then it has been answered.
    this.server.handleUpgrade(request.raw, socket, head, (connection) => {
      this.open.add(connection);
      connection.once('close', () => this.open.delete(connection));
      this.channels.set(channel.id, channel);
      channel.join(connection, sender, () => this.now());
    });
  }

  private check(): Promise<void> {
    const now = this.now();
    for (const channel of [...this.channels.values()]) channel.check(now);
    return Promise.resolve();
  }

  private now(): number {
    return this.clock.now().getTime();
  }
}

const unknownChannel = () => new Failure('unknown-channel', 'There is no such channel.');
