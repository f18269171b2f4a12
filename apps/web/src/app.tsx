import { NewApp, OneApp } from './developer/app.tsx';
import { Apps } from './developer/apps.tsx';
import { isFirefoxFlow } from './firefox/connect.ts';
import { isPairing } from './pairing/authority.ts';
import { Authority, Pair, Supplicant } from './pairing/pages.tsx';
import { KeysOfApp, KeysOfApps } from './keys/pages.tsx';
import { ConnectFirefox } from './pages/connect-firefox.tsx';
import { Device } from './pages/device.tsx';
import { ConnectAnother, Info } from './pages/info.tsx';
import { Interaction } from './pages/interaction.tsx';
import { ResetPassword } from './pages/reset-password.tsx';
import { SignIn } from './pages/sign-in.tsx';
import { VerifyEmail } from './pages/verify-email.tsx';
import { Avatar } from './settings/avatar.tsx';
import { Clients } from './settings/clients.tsx';
import { Overview } from './settings/overview.tsx';
import { Password } from './settings/password.tsx';
import { RecoveryKey } from './settings/recovery-key.tsx';
import { Remove } from './settings/remove.tsx';
import { SecondFactors } from './settings/second-factors.tsx';
import { SignedIn } from './settings/signed-in.tsx';
import { strings } from './strings/strings.ts';
import { Link, Problem } from './ui/parts.tsx';
import { arrivedWith, here } from './ui/route.ts';

const APP = /^\/apps\/app\/([A-Za-z0-9._~-]{1,64})$/;
const INTERACTION = /^\/oauth2\/interaction\/([A-Za-z0-9_-]+)$/;

const KEYS_OF_APP = /^\/settings\/keys\/([A-Za-z0-9._~-]+)$/;

/** The page of an address; docs/web.md says how to add one. */
function pageOf(path: string) {
  const interaction = INTERACTION.exec(path)?.[1];
  if (interaction !== undefined) return <Interaction id={interaction} />;
  const keysOf = KEYS_OF_APP.exec(path)?.[1];
  if (keysOf !== undefined) {
    return <SignedIn>{(session) => <KeysOfApp session={session} clientId={keysOf} />}</SignedIn>;
  }
  const app = APP.exec(path)?.[1];
  if (app !== undefined)
    return <SignedIn>{(session) => <OneApp key={app} session={session} id={app} />}</SignedIn>;
  switch (path) {
    case '/':
    case '/signin':
    case '/signup':
    case '/oauth/force_auth':
    case '/oauth':
      if (path === '/oauth' && isPairing(arrivedWith)) return <Authority />;
      return isFirefoxFlow(arrivedWith) ? <ConnectFirefox path={path} /> : <SignIn path={path} />;
    case '/device':
      return <Device />;
    case '/verify_email':
      return <VerifyEmail />;
    case '/reset_password':
    case '/complete_reset_password':
      return <ResetPassword />;
    case '/settings':
      return <SignedIn>{(session) => <Overview session={session} />}</SignedIn>;
    case '/apps':
      return <SignedIn>{(session) => <Apps session={session} />}</SignedIn>;
    case '/apps/new':
      return <SignedIn>{(session) => <NewApp session={session} />}</SignedIn>;
    case '/settings/clients':
      return <SignedIn>{(session) => <Clients session={session} />}</SignedIn>;
    case '/settings/avatar/change':
      return <SignedIn>{(session) => <Avatar session={session} />}</SignedIn>;
    case '/settings/password':
      return <SignedIn>{(session) => <Password session={session} />}</SignedIn>;
    case '/settings/recovery_key':
      return <SignedIn>{(session) => <RecoveryKey session={session} />}</SignedIn>;
    case '/settings/second_factors':
      return <SignedIn>{(session) => <SecondFactors session={session} />}</SignedIn>;
    case '/settings/keys':
      return <SignedIn>{(session) => <KeysOfApps session={session} />}</SignedIn>;
    case '/settings/delete':
      return <SignedIn>{(session) => <Remove session={session} />}</SignedIn>;
    case '/deleted':
      return <Info name="deleted" words={strings.deleted} />;
    case '/pair':
      return <Pair />;
    case '/pair/supp':
      return <Supplicant />;
    case '/pair/auth':
      return <Authority />;
    case '/connect_another_device':
      return <ConnectAnother />;
    case '/post_verify/third_party_auth/set_password':
      return <Info name="has-password" words={strings.hasPassword} to="/settings/password" />;
    default:
      return <Info name="not-found" words={strings.notFound} />;
  }
}

/** What is around every page. */
export function App() {
  const path = here.value.pathname.replace(/(?<=.)\/$/, '');
  return (
    <>
      <header>
        <Link to="/settings" class="mark">
          {strings.name}
        </Link>
        {/* Browsers have no cryptography for pages that somebody on the way could have changed. */}
        {!isSecureContext && <Problem text={strings.insecure} />}
      </header>
      {pageOf(path)}
      <footer>
        <p>{strings.promise}</p>
      </footer>
    </>
  );
}
