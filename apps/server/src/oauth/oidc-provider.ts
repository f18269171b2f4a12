// The order matters: the first import silences a line that the second would print.
import { restoreWarnings } from './quiet.ts';
import Provider, { errors, interactionPolicy } from 'oidc-provider';

restoreWarnings();

export { Provider, errors, interactionPolicy };
