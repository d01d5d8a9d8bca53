/** `thrown` as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/**
 * For what a handler threw where nobody is left to be told: a warning of the process, which is shown and kills nothing.
 * One link's fault must not end the links of everybody else.
 */
export function reportFault(thrown: unknown): void {
  process.emitWarning(asError(thrown));
}
