import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { EntremiseError } from '../../base/errors.ts';
import { requireTools } from './tools.ts';

test('what is missing is said, all of it at once, with the packages that bring it', t => {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-tools-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const tool of ['setpriv', 'unshare', 'mount', 'umount', 'ip']) {
    writeFileSync(join(folder, tool), '');
    chmodSync(join(folder, tool), tool === 'ip' ? 0o644 : 0o755);
  }
  const error = t.throws(() => requireTools([folder]), { instanceOf: EntremiseError });
  t.is(error.code, 'environment-unfit');
  t.regex(
    error.message,
    /needs ip, nft on this machine.*apt-get install iproute2 nftables\. Without: entremise/,
  );
  for (const tool of ['ip', 'nft']) writeFileSync(join(folder, tool), '');
  for (const tool of ['ip', 'nft']) chmodSync(join(folder, tool), 0o755);
  t.is(requireTools(['relative', folder])('nft'), join(folder, 'nft'));
});
