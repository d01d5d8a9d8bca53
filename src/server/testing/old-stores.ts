/** Databases as earlier versions of the server made and filled them, as SQL: what migrations must bring forward. */

/** server.sqlite before schemas were numbered. */
export const unnumberedStore = `
  CREATE TABLE IF NOT EXISTS trust (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS members (key TEXT PRIMARY KEY, text TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS invitations (key TEXT PRIMARY KEY, text TEXT NOT NULL, usedBy TEXT, usedAtMs INTEGER);
  CREATE TABLE IF NOT EXISTS grants (id TEXT PRIMARY KEY, text TEXT NOT NULL, expiresAtMs INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS mediators (key TEXT PRIMARY KEY, report BLOB, lastSeenMs INTEGER NOT NULL);
  INSERT INTO trust VALUES (1, 'a trust statement');
  INSERT INTO members VALUES ('key', 'a member');
  INSERT INTO invitations VALUES ('invitation', 'text', 'key', 5);
  INSERT INTO grants VALUES ('grant', 'a grant', 10000);
  INSERT INTO mediators VALUES ('key', x'01', 7);
`;

/** The same as its first number. */
export const storeOfSchema1 = `${unnumberedStore} PRAGMA user_version = 1;`;

/** tokens.sqlite before schemas were numbered; the secret's hash is of `secret`. */
export const unnumberedTokens = `
  CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, secretHash BLOB NOT NULL,
    grantId TEXT, createdAtMs INTEGER NOT NULL, expiresAtMs INTEGER NOT NULL, revokedAtMs INTEGER);
  INSERT INTO tokens VALUES ('0123456789ab', 'helpdesk', x'2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b',
    'grant', 1, 2000, NULL);
`;

/** The same, the last without a number. */
export const unnumberedTokensWithScopes = `${unnumberedTokens}
  ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
  UPDATE tokens SET scopes = 'audit';
`;

/** The same as its first number. */
export const tokensOfSchema1 = `${unnumberedTokens} PRAGMA user_version = 1;`;
