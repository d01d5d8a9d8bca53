import type { Report } from '../wire/messages/report.ts';

/** How long a mediator's UDP channel may be silent, and where that comes from (P8.3). */
export type KeepaliveFigure = Pick<NonNullable<Report['path']>, 'udpKeepaliveMs' | 'origin'>;

/** What the mediators that are online have told of it last, for operations. */
export class KeepaliveFigures {
  private readonly byMediator = new Map<string, KeepaliveFigure>();

  /** A mediator has reported. */
  onReport(mediator: string, { path }: Report): void {
    if (path === undefined) return;
    const { udpKeepaliveMs, origin } = path;
    this.byMediator.set(mediator, { udpKeepaliveMs, origin });
  }

  /** A member has gone. */
  onGone(key: string): void {
    this.byMediator.delete(key);
  }

  /** One for each. */
  all(): KeepaliveFigure[] {
    return [...this.byMediator.values()];
  }
}
