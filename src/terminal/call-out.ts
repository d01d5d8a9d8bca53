/**
 * Runs code of the application from within the session's. What it throws must neither end a stream nor be swallowed by
 * the checks of the peer's bytes: it becomes an uncaught exception, as from a socket's own event.
 */
export function callOut(run: () => void): void {
  try {
    run();
  } catch (thrown) {
    process.nextTick(() => {
      throw thrown;
    });
  }
}
