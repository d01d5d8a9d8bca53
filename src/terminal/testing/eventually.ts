/** Resolves when `holds` does; rejects with `what` when it does not within 10 s. */
export async function eventually(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`never happened: ${what}`);
    await new Promise(resolve => setImmediate(resolve));
  }
}
