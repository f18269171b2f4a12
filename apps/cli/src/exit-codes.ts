import { CommanderError } from 'commander';
import { ClientError, IntegrityError } from '#lib/client';

/** 0 done · 1 refused · 2 wrong usage · 3 no answer · 4 something did not pass a check. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof IntegrityError) return 4;
  if (error instanceof ClientError) return error.status === 0 ? 3 : 1;
  return 1;
}

/** One line for people; with --json one object. Never a stack: it would say nothing to them. */
export function describeError(error: unknown, json: boolean): string {
  const code =
    error instanceof ClientError || error instanceof IntegrityError ? error.code : 'error';
  const message = error instanceof Error ? error.message : String(error);
  return json ? JSON.stringify({ error: code, message }) : `lockstep: ${message}`;
}
