import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { silentLog } from '../base/log.ts';
import { AuditFile } from './audit.ts';
import { AuditHeads } from './audit-heads.ts';

const head = (seq: number) => ({ seq, hash: Buffer.alloc(32, seq), timeMs: 1_772_323_200_000 + seq });

test('P6.10: each head of the server is a line of the audit, once, however often it comes', t => {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-heads-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'audit.jsonl');
  const heads = new AuditHeads(new AuditFile(path, () => 0), silentLog());
  for (const seq of [1, 1, 2, 2, 2]) heads.onHead(head(seq));
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  t.deepEqual(
    lines.map(line => JSON.parse(line)),
    [1, 2].map(seq => ({
      time: '1970-01-01T00:00:00.000Z',
      serverAuditHead: {
        seq,
        hash: Buffer.alloc(32, seq).toString('base64url'),
        timeMs: 1_772_323_200_000 + seq,
      },
    })),
  );
});

test('a head that cannot be kept ends nothing', t => {
  const heads = new AuditHeads(new AuditFile('/proc/nowhere/audit.jsonl', () => 0), silentLog());
  t.notThrows(() => heads.onHead(head(1)));
});
