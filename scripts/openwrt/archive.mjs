// Archives as opkg wants them: GNU tar (pax headers break it), owner 0:0, names sorted, one time for all, no time in gzip.
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';

/** The bytes of a .tar.gz of everything in `folder`, or of the members named, in that order. */
export function tarGz(folder, epochS, members = ['.']) {
  const tar = execFileSync(
    'tar',
    [
      '--create',
      '--format=gnu',
      '--sort=name',
      `--mtime=@${epochS}`,
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--file=-',
      '--directory',
      folder,
      ...members,
    ],
    { maxBuffer: 2 ** 28, env: { ...process.env, LC_ALL: 'C' } },
  );
  return gzipSync(tar, { level: 9 });
}
