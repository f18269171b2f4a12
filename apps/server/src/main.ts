import 'reflect-metadata';
import { boot } from './boot/boot.ts';
import { BootFailure } from './boot/boot-failure.ts';
import { Shutdown } from './boot/shutdown.ts';

const shutdown = new Shutdown();
try {
  await boot(process.env, shutdown);
} catch (error) {
  // What the operator can mend is one sentence; anything else is a bug and keeps its stack.
  const isMendable = error instanceof BootFailure;
  const bug = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`lockstep: ${isMendable ? error.message : `cannot start: ${bug}`}\n`);
  await shutdown.run(1);
}
