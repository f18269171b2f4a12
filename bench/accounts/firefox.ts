/** Two Firefoxes. */
export async function benchFirefox(): Promise<void> {
  await Promise.resolve();
}
