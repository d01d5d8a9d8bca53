import type { RelayReport } from '../../relay/relay.ts';

/** What has gone through declared ports, summed so that it only rises while they come and go. */

/** Of a port, or of several, since the beginning. Bytes are those of TCP streams and of datagrams. */
export interface Flow {
  /** Peers that were served; of UDP services the relay alone knows them, so 0. */
  readonly served: number;
  /** Turned away: too many, or too many new ones. */
  readonly full: number;
  /** Turned away: what is behind it was not there or refused, or the audit could not be written. */
  readonly failed: number;
  /** Turned away: from outside the networks; of UDP datagrams, since nobody is known there. */
  readonly foreign: number;
  readonly bytesToLan: number;
  readonly bytesFromLan: number;
}

/** Nothing has gone yet. */
export const noFlow: Flow = { served: 0, full: 0, failed: 0, foreign: 0, bytesToLan: 0, bytesFromLan: 0 };

/** What the relay has counted, asked for when it is needed; undefined where there is no UDP. */
export type AskRelay = () => RelayReport | undefined;

/** The sum of flows. */
export function sumOf(flows: Iterable<Flow>): Flow {
  const sum = { ...noFlow };
  for (const flow of flows) for (const name of Object.keys(sum) as (keyof Flow)[]) sum[name] += flow[name];
  return sum;
}

/** How what is declared of one kind stands. */
export interface DeclaredFigures {
  /** Publications, or mediators of services, by state. */
  readonly states: Readonly<Record<'applied' | 'pending' | 'refused', number>>;
  readonly flows: Readonly<Record<'tcp' | 'udp', Flow>>;
  /** Peers there are now, where that is known. */
  readonly peers: Readonly<Partial<Record<'tcp' | 'udp', number>>>;
}

interface FlowingPort {
  readonly protocol: 'tcp' | 'udp';
  flow(relay: AskRelay): Flow;
}

/** Keeps what ports had counted that are no more. */
export class EndedFlows {
  private readonly ended = { tcp: noFlow, udp: noFlow };

  /** A port is about to end. */
  add({ protocol }: Pick<FlowingPort, 'protocol'>, flow: Flow): void {
    this.ended[protocol] = sumOf([this.ended[protocol], flow]);
  }

  /** With those that are there. */
  with(live: readonly FlowingPort[], relay: AskRelay): DeclaredFigures['flows'] {
    const of = (wanted: 'tcp' | 'udp') =>
      sumOf([
        this.ended[wanted],
        ...live.filter(({ protocol }) => protocol === wanted).map(each => each.flow(relay)),
      ]);
    return { tcp: of('tcp'), udp: of('udp') };
  }
}

/** Asks a relay once at most. */
export function askOnce(relay: { report(): RelayReport } | undefined): AskRelay {
  let report: RelayReport | undefined;
  return () => {
    report ??= relay?.report();
    return report;
  };
}

/** How many are in each state. */
export function countStates(
  all: Iterable<{ readonly state: keyof DeclaredFigures['states'] }>,
): DeclaredFigures['states'] {
  const counts = { applied: 0, pending: 0, refused: 0 };
  for (const { state } of all) counts[state]++;
  return counts;
}
