import { randomBytes, randomInt } from 'node:crypto';
import {
  asEntremiseError,
  codeForPeers,
  type EntremiseError,
  type ErrorCode,
  errorNumber,
} from '../base/errors.ts';
import { keyToText } from '../base/keys.ts';
import { SparingLog } from '../base/sparing-log.ts';
import type { ProvenMember } from '../session/handshake.ts';
import type { Transport } from '../transport/transport.ts';
import { type Statement, statement } from '../wire/messages/link.ts';
import type { Report } from '../wire/messages/report.ts';
import { frameType } from '../wire/spec.ts';
import { AttachDesk } from './attach-desk.ts';
import { AuditHeads } from './audit-heads.ts';
import { DuplicateWatch } from './duplicate-watch.ts';
import { type LinkIdentity, Members } from './members.ts';
import { type OnlineMediator, PresenceDesk } from './presence.ts';
import { RouteTable } from './route-table.ts';
import { ServerLink, type ServerLinkHandlers } from './server-link.ts';
import { type Admission, defaultSwitchLimits, type SwitchOptions } from './switch-options.ts';
import { type SwitchStatus, statusOf } from './switch-status.ts';
import { UdpSide } from './udp-side.ts';

/** A server that is started again takes so long. */
const restartMs = 500;

/** Members of a server that ends come back within this long, or a millisecond each. */
const leastSpreadMs = 1_000;

/**
 * The switch: members, labels, presence, and policy at the door (P1, P2, P4.1, P5.8). It knows no socket, no signed
 * document and no disk; what it must know of those it asks the functions it is given. Features of the server attach to it
 * over memory transports, as members like any other.
 */
export class Switch {
  readonly udp: UdpSide;
  readonly auditHeads = new AuditHeads();
  private readonly options: SwitchOptions;
  /** Every link, authenticated or not. */
  private readonly links = new Set<ServerLink>();
  /** Those that are no member's yet, each with who waits to be told of it. */
  private readonly newcomers = new Map<ServerLink, () => void>();
  private readonly linkHandlers = this.handlersOfLinks();
  private readonly members = new Members<ServerLink>();
  private readonly onlineSinceMs = new Map<string, number>();
  private readonly routes: RouteTable;
  private readonly attachDesk: AttachDesk;
  private readonly presence: PresenceDesk;
  /** Of links that never became a member's. */
  private readonly strangers: SparingLog;
  private readonly duplicates = new DuplicateWatch();
  private proofs = 0;
  private stopped = false;

  constructor(options: SwitchOptions) {
    this.options = options;
    this.udp = new UdpSide(options.clock);
    const limits = { ...defaultSwitchLimits, ...options.limits };
    const { clock, log, audit, directory } = options;
    this.strangers = new SparingLog({ log, clock, lines: 60, withinMs: 60_000 });
    this.routes = new RouteTable({
      clock,
      log,
      audit,
      limits,
      onEnded: (route, code) => this.udp.onRouteEnded(route, code),
    });
    this.attachDesk = new AttachDesk({
      clock,
      audit,
      routeHost: this.routes,
      maxLabelsPerLink: limits.attachmentsPerLink,
      authoriseAttach: question => options.authoriseAttach(question),
      mediatorLink: key => this.members.mediator(key),
      onLive: route => {
        this.routes.add(route);
        if (route.live) this.udp.onRouteLive(route);
      },
    });
    this.presence = new PresenceDesk({ clock, directory, online: key => this.online(key) });
  }

  /** Takes a connected transport. `authenticated` is called once its peer is a member. */
  accept(transport: Transport, authenticated: () => void = () => {}): void {
    if (this.stopped) return transport.destroy();
    const { clock, log, bootId, capabilities, authorityKey } = this.options;
    const nonce = randomBytes(32);
    const handshake = { nonce, bootId, capabilities, authorityKey: authorityKey() };
    try {
      const link = new ServerLink({ transport, clock, log, handshake, handlers: this.linkHandlers });
      this.links.add(link);
      this.newcomers.set(link, authenticated);
      link.start();
    } catch (thrown) {
      // Closed before it was looked at.
      transport.destroy(asEntremiseError(thrown));
    }
  }

  private handlersOfLinks(): ServerLinkHandlers {
    return {
      onChannel: (link, message) => this.udp.onChannel(link, message),
      onPortroute: (link, end, message) => this.udp.onPortroute(link, end, message),
      onProven: (link, member) => void this.onProven(link, member),
      onAttach: (link, message) => this.attachDesk.onAttach(link, message),
      onAttached: (link, message) => this.attachDesk.onAttached(link, message),
      onPresence: (link, { subscribe }) =>
        subscribe === true ? this.presence.subscribe(link) : this.presence.forget(link),
      onReport: (link, report) => this.onReport(link, report),
      onStatement: (link, message) => void this.onStatement(link, message),
      onEnded: (link, error) => this.onEnded(link, error),
    };
  }

  private async onProven(link: ServerLink, member: ProvenMember): Promise<void> {
    const { options } = this;
    const key = keyToText(member.key);
    // By the order of the proofs the later instance of a mediator is known, however long each is looked at (P4.1).
    const proofNo = ++this.proofs;
    const heldOffMs = this.duplicates.heldOffMs(key, options.clock.now());
    if (heldOffMs > 0) return this.refuse(link, key, 'duplicate-identity', undefined, heldOffMs);
    try {
      const admission = await options.admit(member, link.remote);
      if (!link.open) return;
      // Documents may have changed since it was answered, and this link is not among those that are looked at then.
      const code = admission.admitted ? options.recheckMember(key, member.role) : admission.code;
      if (admission.admitted && code === undefined) return this.arrive(link, member, admission, proofNo);
      this.refuse(link, key, code ?? 'internal', admission.admitted ? undefined : admission.message);
    } catch (thrown) {
      options.log.error({ err: thrown, remote: link.remote, key }, 'a member could not be admitted');
      this.links.delete(link);
      link.close(codeForPeers(asEntremiseError(thrown).code));
    }
  }

  private refuse(
    link: ServerLink,
    key: string,
    code: ErrorCode,
    message: string | undefined,
    afterMs?: number,
  ): void {
    this.strangers.info({ remote: link.remote, key, code, reason: message }, 'member not admitted');
    this.links.delete(link);
    link.close(code, message, { afterMs });
  }

  private arrive(
    link: ServerLink,
    member: ProvenMember,
    { name, statementSeq, documents }: Admission & { readonly admitted: true },
    proofNo: number,
  ): void {
    const { role, linkNo, software } = member;
    const key = keyToText(member.key);
    const instance = Buffer.from(member.instance).toString('hex');
    link.identify({ key, role, name, instance, linkNo });
    const nowMs = this.options.clock.now();
    const isNew = this.members.linksOf(key).length === 0;
    const arrival = this.members.add(link, proofNo, nowMs);
    if (!arrival.accepted) return link.close('displaced');
    const rivals = arrival.displaced.filter(other => other.identity.instance !== instance);
    if (rivals.length > 0 && this.duplicates.onArrival(key, instance, nowMs))
      return this.holdOff(link, rivals);
    for (const { identity } of rivals) this.duplicates.onDisplaced(key, identity.instance, nowMs);
    for (const other of arrival.displaced) this.displace(other, link);
    this.newcomers.get(link)?.();
    this.newcomers.delete(link);
    link.welcome(statementSeq);
    link.sendDocuments(documents);
    this.udp.onLink(link);
    this.auditHeads.onLink(link, member.capabilities);
    this.options.log.info({ ...link.identity, remote: link.remote, software }, 'member online');
    if (isNew) this.onMemberChange(link.identity, true);
    else if (role === 'mediator') this.presence.changed(key);
  }

  private displace(old: ServerLink, by: ServerLink): void {
    const { key, name, instance } = old.identity;
    if (instance !== by.identity.instance) {
      const fields = { key, name, remote: old.remote, newRemote: by.remote };
      this.options.log.warn(fields, 'duplicate-identity: another instance of a mediator took over');
    }
    old.close('displaced');
  }

  /** Two machines have one mediator's key and take each other's place: neither may come for a while (P4.1). */
  private holdOff(link: ServerLink, rivals: readonly ServerLink[]): void {
    const { key, name } = link.identity;
    const both = [link, ...rivals];
    const fields = { key, name, instances: both.map(({ identity, remote }) => ({ ...identity, remote })) };
    this.options.log.error(fields, 'duplicate-identity: two machines have the key of one mediator');
    try {
      this.options.audit('duplicate-identity', fields);
    } finally {
      const afterMs = this.duplicates.heldOffMs(key, this.options.clock.now());
      for (const each of both) each.close('duplicate-identity', undefined, { afterMs });
    }
  }

  private onMemberChange(identity: LinkIdentity, online: boolean): void {
    const { key, role } = identity;
    if (online) this.onlineSinceMs.set(key, this.options.clock.wallTimeMs());
    else this.onlineSinceMs.delete(key);
    this.options.onMember?.(identity, online);
    if (role === 'mediator') this.presence.changed(key);
  }

  private online(mediator: string): OnlineMediator | undefined {
    const link = this.members.mediator(mediator);
    const sinceMs = this.onlineSinceMs.get(mediator);
    return link === undefined || sinceMs === undefined ? undefined : { link, sinceMs };
  }

  private onEnded(link: ServerLink, error: EntremiseError): void {
    const untold = this.links.delete(link);
    this.newcomers.delete(link);
    this.presence.forget(link);
    const ended = { remote: link.remote, code: error.code, reason: error.message };
    if (!link.isMember) {
      if (untold) this.strangers.info(ended, 'link ended unauthenticated');
      return;
    }
    this.udp.onLinkEnded(link, error.code);
    this.auditHeads.onLinkEnded(link);
    const { identity } = link;
    this.options.log.info({ ...identity, ...ended }, 'link ended');
    const removed = this.members.remove(link, this.options.clock.now());
    if (removed && this.members.linksOf(identity.key).length === 0) this.onMemberChange(identity, false);
  }

  private onReport(link: ServerLink, report: Report): void {
    const { key } = link.identity;
    this.options.onReport(key, report);
    this.presence.changed(key);
  }

  private async onStatement(link: ServerLink, { documents = [], id }: Statement): Promise<void> {
    const outcomes = await this.options.acceptDocuments(documents, link.identity).catch(thrown => {
      this.options.log.error({ err: thrown }, 'documents could not be taken');
      return documents.map((): ErrorCode => 'internal');
    });
    if (id === undefined || !link.open) return;
    const results = outcomes.map(code => (code === undefined ? 0 : errorNumber(code)));
    link.send(frameType.statement, statement.toBytes({ id, results }));
  }

  /** Sends documents to every member that is connected (P6.2: within 5 s; it is at once). Gives who that is. */
  broadcastDocuments(documents: readonly string[]): LinkIdentity[] {
    const links = [...this.members.all()];
    for (const link of links) link.sendDocuments(documents);
    return links.map(({ identity }) => identity);
  }

  /** Sends documents to the member with that key, if it is connected. */
  sendDocuments(key: string, documents: readonly string[]): void {
    for (const link of this.members.linksOf(key)) link.sendDocuments(documents);
  }

  /** Documents have changed: links and attachments that are no longer allowed end, and PRESENCE is put right (P6.2). */
  revalidate(): void {
    for (const link of this.members.all()) {
      const { key, role } = link.identity;
      const code = this.options.recheckMember(key, role);
      if (code !== undefined) link.close(code);
    }
    this.routes.revalidate();
    this.udp.revalidate();
    this.presence.revalidate();
  }

  /** A mediator's statement has changed. */
  memberChanged(key: string): void {
    this.presence.changed(key);
  }

  /** What goes on. */
  status(): SwitchStatus {
    return statusOf(this.routes, this.members.all(), this.udp.counters);
  }

  /**
   * Takes no link any more and ends those there are. Each member is told another time at which to come back, so that
   * they do not come all at once, and to which server (`host:number`) instead, if there is one.
   */
  close(successor?: string): void {
    this.stopped = true;
    this.udp.close();
    const spreadMs = Math.max(leastSpreadMs, this.links.size);
    for (const link of [...this.links]) {
      const afterMs = successor === undefined ? restartMs + randomInt(spreadMs) : 0;
      link.close('shutting-down', undefined, { afterMs, server: successor });
    }
  }
}
