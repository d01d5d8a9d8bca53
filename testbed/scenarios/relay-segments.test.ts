import { fileURLToPath } from 'node:url';
import test from 'ava';
import { createLab, labSupport } from 'netns-test-helpers';

const support = labSupport();
const run = support.ok && support.ready ? test : test.skip;
const program = fileURLToPath(new URL('support/relay-release.js', import.meta.url));

run('datagrams that the kernel does not send as one leave one by one, in order, none lost', async t => {
  t.timeout(60_000);
  const lab = await createLab({ name: 'segments' });
  t.teardown(() => lab.destroy());
  const host = await lab.namespace('host');
  // No segment of 1400 bytes fits: the kernel refuses the group, and fragments each by itself.
  await host.ip('link set lo mtu 1000');
  const printed = await host.run([process.execPath, program], { deadlineMs: 50_000 });
  const got = Array.from({ length: 20 }, (_, index) => index);
  t.deepEqual(JSON.parse(printed), { got, packetsOut: 20, unsent: 0 });
});
