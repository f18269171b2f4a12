import { randomBytes } from 'node:crypto';
import type { Bso } from './store.ts';

/** Text that payloads are cut from: ciphertext looks like this. */
const NOISE = randomBytes(1 << 20).toString('base64url');

/** A whole number, both ends included. */
export const between = (least: number, most: number): number =>
  least + Math.floor(Math.random() * (most - least + 1));

export const chance = (probability: number): boolean => Math.random() < probability;

/** @param weights - of 0, of 1, and so on */
export function draw(weights: readonly number[]): number {
  let left = Math.random() * weights.reduce((sum, weight) => sum + weight, 0);
  return Math.max(
    0,
    weights.findIndex((weight) => (left -= weight) < 0),
  );
}

/** @param names - at least one */
export const pick = <T>(names: readonly [T, ...T[]]): T =>
  names[between(0, names.length - 1)] ?? names[0];

/** Twelve characters, as Firefox makes them. */
export const newId = (): string => randomBytes(9).toString('base64url');

export function text(length: number): string {
  const from = between(0, NOISE.length - length);
  return NOISE.slice(from, from + length);
}

/** A record, by default as long as in Mozilla's load test: 300 to some thousand, 450 on average. */
export const newBso = (length = paretoLength()): Bso => ({ id: newId(), payload: text(length) });

export const newBsos = (count: number): Bso[] => Array.from({ length: count }, () => newBso());

const paretoLength = () => Math.min(100_000, Math.floor(300 / (1 - Math.random()) ** (1 / 3)));
