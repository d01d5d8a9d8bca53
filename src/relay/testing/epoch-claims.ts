import { until } from '../../native/test-sockets.ts';
import type { EpochKeys } from '../relay.ts';
import { keyOf } from './relay-lab.ts';
import { type Claim, elsewhere, oneChannel, routeDown, textsOf } from './scenes.ts';

/** Claims of compliance.ts about a channel's next keys (P7.3). */

/** Keys of an epoch, for both ends. Equal numbers, equal keys. */
function epochKeys(epoch: number): { readonly member: EpochKeys; readonly server: EpochKeys } {
  const [up, down] = [keyOf('chacha20-poly1305', 50 + epoch), keyOf('chacha20-poly1305', 90 + epoch)];
  return {
    member: { epoch, sealKey: up, openKey: down },
    server: { epoch, sealKey: down, openKey: up },
  };
}

/** A channel on which both ends say words, and how many of them have come. */
async function talk(lab: Parameters<Parameters<Claim>[1]>[1]) {
  const { member, server } = await oneChannel(lab);
  const say = (end: typeof member | typeof server, text: string) =>
    end.relay.sendDatagram(1, routeDown, elsewhere, Buffer.from(text));
  const heard = (end: typeof member | typeof server, count: number) =>
    until(`${count} words`, () => end.heard.datagrams.length === count);
  return { member, server, say, heard };
}

/** See the head of this file. */
export function claimEpochs(claim: Claim): void {
  claim(
    'the next epoch is received beside the one in use; who waits seals with it once it is heard',
    async (t, lab) => {
      const { member, server, say, heard } = await talk(lab);
      const keys = epochKeys(1);
      server.relay.addEpoch(1, keys.server, 'heard');
      say(member, 'old');
      say(server, 'old');
      await heard(server, 1);
      // The member could not open anything else yet.
      await heard(member, 1);
      member.relay.addEpoch(1, keys.member, 'now');
      say(member, 'new');
      await heard(server, 2);
      say(server, 'new');
      await heard(member, 2);
      t.deepEqual(textsOf(server.heard.datagrams), ['old', 'new']);
      t.deepEqual(textsOf(member.heard.datagrams), ['old', 'new']);
    },
  );

  claim(
    'the epoch before is not received for ever, and both ends have left it by then (P7.3)',
    async (t, lab) => {
      lab.hasten();
      const { member, server, say, heard } = await talk(lab);
      const keys = epochKeys(1);
      server.relay.addEpoch(1, keys.server, 'heard');
      member.relay.addEpoch(1, keys.member, 'now');
      say(member, 'new');
      await heard(server, 1);
      say(server, 'new');
      await heard(member, 1);
      // The member goes back to the keys of before, which it could not do.
      member.relay.addChannel(1, {
        epoch: 0,
        sealKey: keyOf('aes-128-gcm', 2),
        openKey: keyOf('aes-128-gcm', 3),
      });
      member.relay.setPath(1, { door: member.door, peer: server.peer, packetBytes: 1200 });
      await until('it is not opened any more', () => {
        say(member, 'late');
        return (server.relay.channelCounters(1)?.unknown ?? 0) > 0;
      });
      t.true(textsOf(server.heard.datagrams).includes('new'));
    },
  );

  claim('a flow both ways through two rekeys loses and reorders nothing (P7.3)', async (t, lab) => {
    const { member, server, say, heard } = await talk(lab);
    const rounds = 60;
    const each = 20;
    for (let round = 0; round < rounds; round++) {
      if (round === 20 || round === 40) {
        const keys = epochKeys(round / 20);
        server.relay.addEpoch(1, keys.server, 'heard');
        // In the middle of what is on its way.
        for (let index = 0; index < each; index++) {
          if (index === each / 2) member.relay.addEpoch(1, keys.member, 'now');
          say(member, `${round * each + index}`);
          say(server, `${round * each + index}`);
        }
      } else
        for (let index = 0; index < each; index++) {
          say(member, `${round * each + index}`);
          say(server, `${round * each + index}`);
        }
      await heard(server, (round + 1) * each);
      await heard(member, (round + 1) * each);
    }
    const all = Array.from({ length: rounds * each }, (_, index) => `${index}`);
    t.deepEqual(textsOf(server.heard.datagrams), all);
    t.deepEqual(textsOf(member.heard.datagrams), all);
    const { replayed, unknown, forged } = server.relay.channelCounters(1) ?? {};
    t.deepEqual([replayed, unknown, forged], [0, 0, 0]);
  });

  claim('an epoch that is there is not installed again: its counter goes on (P7.3)', async (t, lab) => {
    const { member, server, say, heard } = await talk(lab);
    const keys = epochKeys(1);
    server.relay.addEpoch(1, keys.server, 'heard');
    for (const word of ['one', 'two', 'three']) {
      member.relay.addEpoch(1, keys.member, 'now');
      server.relay.addEpoch(1, keys.server, 'heard');
      say(member, word);
    }
    await heard(server, 3);
    t.deepEqual(textsOf(server.heard.datagrams), ['one', 'two', 'three']);
    t.is(server.relay.channelCounters(1)?.replayed, 0);
  });

  claim('an epoch of which nothing has come gives way to the next one (P7.3)', async (t, lab) => {
    const { member, server, say, heard } = await talk(lab);
    server.relay.addEpoch(1, epochKeys(1).server, 'heard');
    server.relay.addEpoch(1, epochKeys(2).server, 'heard');
    say(member, 'old');
    await heard(server, 1);
    member.relay.addEpoch(1, epochKeys(2).member, 'now');
    say(member, 'new');
    await heard(server, 2);
    say(server, 'new');
    await heard(member, 1);
    t.pass();
  });
}
