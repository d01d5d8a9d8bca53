import type { Switch } from '../switch/switch.ts';
import type { DocumentChange, Documents } from './documents.ts';

/** Who is to be told. */
export interface Told {
  readonly documents: Documents;
  readonly hub: Switch;
  /** These mediators have heard. */
  readonly onHeard: (mediators: readonly string[]) => void;
}

/** A document counts since now: whom it concerns is told, and what it no longer allows ends (P6.2). */
export function tell(changed: DocumentChange, { documents, hub, onHeard }: Told): void {
  switch (changed.kind) {
    case 'trust': {
      const heard = hub.broadcastDocuments([changed.text]);
      onHeard(heard.filter(({ role }) => role === 'mediator').map(({ key }) => key));
      break;
    }
    case 'member':
      hub.sendDocuments(changed.key, [changed.text]);
      if (documents.member(changed.key)?.role === 'mediator') hub.memberChanged(changed.key);
      break;
    case 'grant':
      if (changed.terminal !== undefined) hub.sendDocuments(changed.terminal, [changed.text]);
      break;
    case 'invitation':
      return;
  }
  hub.revalidate();
}
