declare const __ENTREMISE_VERSION__: string | undefined;

/** The product's version: put in by the bundler; of a run from single files, `development`. */
export const version = typeof __ENTREMISE_VERSION__ === 'string' ? __ENTREMISE_VERSION__ : 'development';

/** Name and version as they travel in HELLO and REPORT. */
export const software = `entremise ${version}`;
