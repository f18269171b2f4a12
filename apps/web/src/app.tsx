import { ConnectFirefox } from './pages/connect-firefox.tsx';
import { NotFound } from './pages/not-found.tsx';
import { SignIn } from './pages/sign-in.tsx';
import { VerifyEmail } from './pages/verify-email.tsx';
import { isFirefoxFlow } from './firefox/connect.ts';
import { strings } from './strings/strings.ts';
import { arrivedWith, here } from './ui/route.ts';
import { Link } from './ui/parts.tsx';

/** The page of an address; docs/web.md says how to add one. */
function pageOf(path: string) {
  switch (path) {
    case '/':
    case '/signin':
    case '/signup':
    case '/oauth/force_auth':
      return isFirefoxFlow(arrivedWith) ? <ConnectFirefox path={path} /> : <SignIn path={path} />;
    case '/verify_email':
      return <VerifyEmail />;
    default:
      return <NotFound />;
  }
}

/** What is around every page. */
export function App() {
  const path = here.value.pathname.replace(/(?<=.)\/$/, '');
  return (
    <>
      <header>
        <Link to="/" class="mark">
          {strings.name}
        </Link>
      </header>
      {pageOf(path)}
      <footer>
        <p>{strings.promise}</p>
      </footer>
    </>
  );
}
