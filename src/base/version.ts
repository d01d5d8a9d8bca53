declare const __ENTREMISE_VERSION__: string | undefined;
declare const __ENTREMISE_BUILT_MS__: number | undefined;

/** The product's version: put in by the bundler; of a run from single files, `development`. */
export const version = typeof __ENTREMISE_VERSION__ === 'string' ? __ENTREMISE_VERSION__ : 'development';

/** Name and version as they travel in HELLO and REPORT. */
export const software = `entremise ${version}`;

/**
 * When this program was made, milliseconds since 1970: the time of its newest change, put in by the bundler. No trusted time
 * is before it (docs/protocol.md §6.7).
 */
export const builtMs =
  typeof __ENTREMISE_BUILT_MS__ === 'number' ? __ENTREMISE_BUILT_MS__ : Date.UTC(2026, 10, 22);
