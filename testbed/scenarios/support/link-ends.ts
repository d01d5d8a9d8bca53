import type { Stage } from './stage.ts';

/** How often either end has said that the mediator's link ended. */
export function linkEnds({ site }: Stage): number {
  const said = (text: string, what: RegExp) => text.match(what)?.length ?? 0;
  return said(site.mediator.stderr, /"offline"/g) + said(site.server.stderr, /"home-1".*"link ended"/g);
}
