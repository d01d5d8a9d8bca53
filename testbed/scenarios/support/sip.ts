import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Namespace, type Program, until } from 'netns-test-helpers';
import { makeRandomFile, programPath } from './peers.ts';
import { jsonLines } from './verbs.ts';

/** A telephone call by the real sipp at both ends, and what its audio looked like on the way. */

/** One end of a call. */
export interface SipEnd {
  readonly where: Namespace;
  /** Its own address. */
  readonly address: string;
  readonly sipPort: number;
  /** Where its audio comes from and goes to. */
  readonly audioPort: number;
  /** The address by which the other end reaches its audio. */
  readonly audioAddress: string;
}

/** A second of PCMU. */
const bytesPerSecond = 8_000;

/** Writes a scenario of testbed/programs/sip for one end, with audio of its own. */
function scenarioFor(name: string, folder: string, end: SipEnd, seconds: number): string {
  const audio = join(folder, `${name}.pcmu`);
  makeRandomFile(audio, seconds * bytesPerSecond);
  const path = join(folder, `${name}.xml`);
  const words = { SDP_ADDRESS: end.audioAddress, AUDIO_FILE: audio, AUDIO_MS: String(seconds * 1_000 + 500) };
  const text = readFileSync(programPath(`sip/${name}.xml`), 'utf8');
  writeFileSync(
    path,
    text.replaceAll(/SDP_ADDRESS|AUDIO_FILE|AUDIO_MS/g, word => words[word as keyof typeof words]),
  );
  return path;
}

function startSipp(t: ExecutionContext, end: SipEnd, scenario: string, to: readonly string[] = []): Program {
  const { where, address, sipPort, audioPort } = end;
  const at = ['-i', address, '-p', String(sipPort), '-mi', address, '-mp', String(audioPort)];
  const once = ['-m', '1', '-nostdin', '-timeout', '60s', '-timeout_error'];
  const program = where.spawn(['sipp', '-sf', scenario, ...at, ...once, ...to]);
  t.teardown(() => program.stop('SIGKILL'));
  return program;
}

/** Lets `from` call `to`, which it reaches at `via`; both speak for so many seconds. Gives how both ended. */
export async function sipCall(
  t: ExecutionContext,
  folder: string,
  { from, to, via, seconds }: { from: SipEnd; to: SipEnd; via: string; seconds: number },
): Promise<readonly (number | null)[]> {
  const answering = startSipp(t, to, scenarioFor('answers', folder, to, seconds));
  await to.where.untilListening('udp', to.sipPort);
  const calling = startSipp(t, from, scenarioFor('calls', folder, from, seconds), [via]);
  const ends = await Promise.all([calling.exited, answering.exited]);
  return ends.map(({ code }) => code);
}

/** RTP from one place to another, as an interface saw it. */
export interface AudioFlow {
  readonly from: string;
  readonly to: string;
  readonly packets: number;
  /** Which did not come between the first and the last, counted from the first. */
  readonly missing: readonly number[];
  readonly disordered: number;
  /** SHA-256 of the audio. */
  readonly audio: string;
}

/** Watches the RTP of an interface from now on; the function that it gives ends that, and tells. */
export async function tapAudio(
  t: ExecutionContext,
  where: Namespace,
  interfaceName: string,
): Promise<() => Promise<readonly AudioFlow[]>> {
  const tap = where.spawn(['python3', programPath('rtp-tap.py'), interfaceName], { stdin: 'pipe' });
  t.teardown(() => tap.stop('SIGKILL'));
  await until(() => tap.stdout.includes('watching'), { what: 'the tap to watch', explain: () => tap.stderr });
  return async () => {
    tap.endInput();
    await tap.exited;
    return jsonLines(tap.stdout).filter(line => 'packets' in line) as unknown as AudioFlow[];
  };
}
