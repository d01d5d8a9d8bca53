import { LabError } from './errors.ts';
import { checkNumber, checkWhole } from './input.ts';

/**
 * What an impaired link does to the packets of one direction; everything is off when left out. A packet meets, in this
 * order: the limit of length, loss, bursts, the queue of the rate limit, damage, the delay.
 */
export interface Impairment {
  /** Every packet takes so long. */
  readonly delayMs?: number;
  /** Evenly spread from minus this to plus this around the delay. Keeps the order: what is late makes the next wait. */
  readonly jitterMs?: number;
  /** Share of packets lost, each for itself; 1 is a black hole. */
  readonly lossRatio?: number;
  /** Share of packets lost in bursts of exactly `burstPackets` (3 when left out), besides `lossRatio`. */
  readonly burstRatio?: number;
  readonly burstPackets?: number;
  /** Share of packets that come twice, the second `duplicateAfterMs` (0) later: an old one is a replay. */
  readonly duplicateRatio?: number;
  readonly duplicateAfterMs?: number;
  /** Share of packets with one bit flipped behind the IP header: the checksum tells, the receiver drops them. */
  readonly corruptRatio?: number;
  /** The damage is done to the payload so that TCP's and UDP's checksum stays right, and the application gets it. */
  readonly corruptHidden?: boolean;
  /** Share of packets held back by `reorderByMs` (10), so that later ones overtake them. */
  readonly reorderRatio?: number;
  readonly reorderByMs?: number;
  /** Thousands of bits a second, IP header counted and Ethernet's not. */
  readonly rateKbit?: number;
  /** With a rate: how many packets wait, the one on the wire not counted (1,000), and how long (no limit); the rest is dropped. */
  readonly queuePackets?: number;
  readonly queueMs?: number;
  /** Longer IP packets, in bytes, vanish, and no ICMP says so. */
  readonly dropLongerThan?: number;
}

/** An hour: nothing waits longer. */
const longestMs = 3_600_000;
const ms = (what: string, value: number) => checkNumber(value, what, 0, longestMs) * 1e6;
const ratio = (what: string, value: number) => checkNumber(value, what, 0, 1);
const whole = (least: number) => (what: string, value: number) => checkWhole(value, what, least, 1e9);

/** The native program's name of each setting, and its value there: nanoseconds, bits a second. */
const settings: {
  readonly [name in keyof Required<Impairment>]: readonly [string, (what: string, value: number) => number];
} = {
  delayMs: ['delay', ms],
  jitterMs: ['jitter', ms],
  lossRatio: ['loss', ratio],
  burstRatio: ['burst', ratio],
  burstPackets: ['burstPackets', whole(1)],
  duplicateRatio: ['duplicate', ratio],
  duplicateAfterMs: ['duplicateAfter', ms],
  corruptRatio: ['corrupt', ratio],
  corruptHidden: ['corruptHidden', (_, value) => value],
  reorderRatio: ['reorder', ratio],
  reorderByMs: ['reorderBy', ms],
  rateKbit: ['rate', (what, value) => whole(1)(what, value) * 1_000],
  queuePackets: ['queuePackets', whole(1)],
  queueMs: ['queueTime', ms],
  dropLongerThan: ['dropLongerThan', whole(1)],
};

/** What is meant where nothing is said. */
const quiet: Required<Impairment> = {
  delayMs: 0,
  jitterMs: 0,
  lossRatio: 0,
  burstRatio: 0,
  burstPackets: 3,
  duplicateRatio: 0,
  duplicateAfterMs: 0,
  corruptRatio: 0,
  corruptHidden: false,
  reorderRatio: 0,
  reorderByMs: 10,
  rateKbit: 0,
  queuePackets: 1_000,
  queueMs: 0,
  dropLongerThan: 0,
};

/**
 * An impairment as the native program takes it: names and values in turn, all of them.
 *
 * @throws LabError `bad-input`, naming what is wrong.
 */
export function settingWords(impairment: Impairment): string {
  for (const name of Object.keys(impairment)) {
    if (name in settings) continue;
    const known = Object.keys(settings).join(', ');
    throw new LabError('bad-input', `no impairment ${JSON.stringify(name)}; there are ${known}`);
  }
  return (Object.keys(settings) as (keyof Impairment)[])
    .map(name => {
      const [word, toValue] = settings[name];
      const asked = impairment[name];
      return `${word} ${asked === undefined ? offValue(name) : toValue(name, Number(asked))}`;
    })
    .join(' ');
}

/** What is off is 0, which as a rate or a length could not be asked for. */
function offValue(name: keyof Impairment): number {
  const value = Number(quiet[name]);
  return name.endsWith('Ms') ? value * 1e6 : value;
}

/** An impairment in a few words, for the drawing; empty for none. */
export function describeImpairment(impairment: Impairment): string {
  const { delayMs, jitterMs, lossRatio, burstRatio, burstPackets = quiet.burstPackets } = impairment;
  const percent = (value: number | undefined, what: string) =>
    value ? `${Math.round(value * 10_000) / 100} % ${what}` : '';
  return [
    delayMs || jitterMs ? `${delayMs ?? 0} ms${jitterMs ? ` +-${jitterMs}` : ''}` : '',
    percent(lossRatio, 'lost'),
    percent(burstRatio, `lost by ${burstPackets}`),
    percent(impairment.duplicateRatio, 'twice'),
    percent(impairment.corruptRatio, 'damaged'),
    percent(impairment.reorderRatio, 'late'),
    impairment.rateKbit ? `${impairment.rateKbit} kbit/s` : '',
    impairment.dropLongerThan ? `at most ${impairment.dropLongerThan} bytes` : '',
  ]
    .filter(text => text !== '')
    .join(', ');
}
