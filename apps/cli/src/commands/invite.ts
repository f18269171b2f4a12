import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';

/** `lockstep invite`: the operator's, so it runs the server's own program on the server's database. */
export function inviteCommand(program: Command): void {
  program
    .command('invite <address>')
    .description(
      'operator: make an invitation that verifies this address (reads the server’s DATA_DIR or DATABASE_URL)',
    )
    .action(async (address: string) => {
      const path = fileURLToPath(
        new URL('../../../server/src/accounts/invite.main.js', import.meta.url),
      );
      const child = spawn(process.execPath, [path, address], { stdio: 'inherit' });
      process.exitCode = await new Promise<number>((done, failed) => {
        child.once('error', failed);
        child.once('exit', (code) => {
          done(code ?? 1);
        });
      });
    });
}
