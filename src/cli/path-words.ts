import { errorCodeOf } from '../base/errors.ts';
import type { Carrier } from '../terminal/index.ts';
import type { PathReport } from '../wire/messages/report.ts';
import { formatDuration } from './duration.ts';

/** Silences are told to a tenth of a second; whole hours of them do not occur. */
const seconds = (ms: number) => `${Math.round(ms / 100) / 10} s`;

const passes: Readonly<Record<PathReport['udp'], string>> = {
  off: 'the server offers no UDP channel',
  trying: 'UDP is being tried',
  up: 'UDP passes',
  blocked: 'UDP does not pass',
  proxied: 'no UDP through an HTTP proxy',
};

/** What carries a redirected port's datagrams, behind "datagrams go" (P5.5). */
export const carrierWords: Readonly<Record<Carrier, string>> = {
  udp: 'over UDP',
  tcp: 'over the TCP channel',
  none: 'nowhere, since UDP does not pass',
};

function triedWords({ heldMs, expiredMs }: PathReport): string {
  const held = heldMs === undefined ? [] : [`${seconds(heldMs)} of silence held`];
  const expired = expiredMs === undefined ? [] : [`${seconds(expiredMs)} did not`];
  return [...held, ...expired].join(', ') || 'nothing was answered';
}

function originWords(path: PathReport, nowMs: number): string {
  const { origin, learnedAtMs } = path;
  const ago = learnedAtMs === undefined ? '' : `, ${formatDuration(Math.max(0, nowMs - learnedAtMs))} ago`;
  switch (origin) {
    case 'default':
      return 'not learned yet';
    case 'learning':
      return `being learned: ${path.heldMs === undefined ? 'nothing has held yet' : triedWords(path)}`;
    case 'learned':
      return `learned${ago}: ${triedWords(path)}`;
    case 'halved':
      return `halved${ago}: a NAT forgot the channel after ${seconds(path.expiredMs ?? 0)}`;
    case 'unclear':
      return `could not be learned${ago}: the path loses too much`;
  }
}

/** What is known of a mediator's link: where it goes, since when, its round trip, and how the one before was lost. */
export function linkWords(path: PathReport, roundTripMs: number | undefined, nowMs: number): string {
  const { server, linkSinceMs, lostReason, lostAtMs } = path;
  const ago = (atMs: number) => formatDuration(Math.max(0, nowMs - atMs));
  const since = linkSinceMs === undefined ? '' : ` for ${ago(linkSinceMs)}`;
  const trip = roundTripMs === undefined ? [] : [`round trip ${roundTripMs} ms`];
  const reason = lostReason === undefined ? undefined : (errorCodeOf(lostReason) ?? lostReason);
  const lost =
    reason === undefined || lostAtMs === undefined
      ? 'none lost since it was started'
      : `the one before was lost ${ago(lostAtMs)} ago (${reason})`;
  return [`link to ${server ?? 'the server'}${since}`, ...trip, lost].join(', ');
}

/** As {@link pathWords}, of a terminal that was just looked at: there is no link's silence to tell. */
export function ownUdpWords(path: PathReport): string {
  const { udp, udpKeepaliveMs, heldMs, expiredMs, packetBytes } = path;
  if (udp !== 'up') return passes[udp];
  const learned = heldMs === undefined && expiredMs === undefined ? '' : ` (${triedWords(path)})`;
  const size = packetBytes === undefined ? '' : ` in packets of ${packetBytes} bytes`;
  return `${passes[udp]}${size}, silent for ${seconds(udpKeepaliveMs)} at most${learned}`;
}

const translations: Readonly<Record<NonNullable<PathReport['translation']>, string>> = {
  none: 'none on the way of UDP',
  address:
    'changes the address and keeps every number, so the mapping is endpoint-independent as far as seen',
  numbers:
    'changes numbers; mapping endpoint-independent, or dependent on address or port: one server cannot tell',
};

/**
 * What NATs do to UDP, in one line, and what cannot be told of them (P8.5); undefined while nothing is known. Numbers are
 * those of ports.
 */
export function natWords({ translation, publicAddresses = 1 }: PathReport): string | undefined {
  if (translation === undefined) return undefined;
  const pool = publicAddresses > 1 ? [`${publicAddresses} public addresses in turn`] : [];
  const filtering = translation === 'none' ? [] : ['filtering: one server, one number, cannot tell'];
  return [translations[translation], ...pool, ...filtering].join('; ');
}

/** What a mediator reports of its way to the server, in one line (P8.3). `nowMs`: since 1970. */
export function pathWords(path: PathReport, nowMs: number): string {
  const { udp, udpKeepaliveMs, tcpKeepaliveMs, packetBytes } = path;
  const link = `link silent for ${seconds(tcpKeepaliveMs)} at most`;
  if (udp === 'off' || udp === 'blocked' || udp === 'proxied') return `${passes[udp]}; ${link}`;
  const size = packetBytes === undefined ? '' : ` in packets of ${packetBytes} bytes`;
  return `${passes[udp]}${size}, silent for ${seconds(udpKeepaliveMs)} at most (${originWords(path, nowMs)}); ${link}`;
}
