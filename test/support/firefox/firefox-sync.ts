import type { Firefox } from './firefox.ts';

/** What Firefox says of a sync: words of services-sync/constants.sys.mjs. */
export interface SyncOutcome {
  /** The notification it ended with; undefined when it did not begin. */
  ended: string | undefined;
  /** `success.status_ok` when all went well. */
  service: string;
  sync: string;
  login: string;
  /** By engine, those that did not do well. */
  engines: Readonly<Record<string, string>>;
  /** Seconds that it was told to stay away. */
  backoffSeconds: number;
}

/** Firefox Sync in one Firefox. */
export class FirefoxSync {
  constructor(private readonly firefox: Firefox) {}

  /** Resolves when no sync is under way or waits for its turn. */
  async idle(): Promise<void> {
    await this.firefox.inside(
      `await weave().Service.promiseInitialized;
       await until(
         ['weave:service:sync:finish', 'weave:service:sync:error', 'weave:service:login:error'],
         () => !weave().Service.locked && !weave().Service._queuedSyncReason,
       );`,
    );
  }

  /** Syncs everything. @throws Error with the outcome when anything of it fails */
  async run(): Promise<void> {
    const outcome = await this.attempt();
    const isGood =
      outcome.ended === 'weave:service:sync:finish' && outcome.service === 'success.status_ok';
    if (!isGood) throw new Error(`The sync failed: ${JSON.stringify(outcome)}`);
  }

  /** What "Sync Now" does, whatever comes of it. */
  async attempt(): Promise<SyncOutcome> {
    await this.idle();
    return this.firefox.inside(
      `const { Service, Status } = weave();
       const ends = [
         'weave:service:sync:finish', 'weave:service:sync:error', 'weave:service:login:error',
       ];
       let ended;
       const observer = { observe: (subject, topic) => { ended = topic; } };
       for (const topic of ends) Services.obs.addObserver(observer, topic);
       try {
         await fxAccounts().commands.pollDeviceCommands().catch(() => undefined);
         await Service.sync({ why: 'user' });
       } finally {
         for (const topic of ends) Services.obs.removeObserver(observer, topic);
       }
       const { service, sync, login, engines, backoffInterval } = Status;
       const backoffSeconds = backoffInterval / 1000;
       return { ended, service, sync, login, engines, backoffSeconds };`,
    );
  }

  /** The address of its store at the storage node; undefined when it has to ask for one. */
  store(): Promise<string | undefined> {
    return this.firefox.inside(`return weave().Service.clusterURL || undefined;`);
  }
}
