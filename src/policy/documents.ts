/** The signed documents (P6.2, P6.3): parsed values and their verification, one file a document. */
export * from './grant.ts';
export * from './grant-verify.ts';
export * from './member-statement.ts';
export * from './trust-statement.ts';
