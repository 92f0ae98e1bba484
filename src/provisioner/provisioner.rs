//! The services of one workspace, put together.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use domain::secret::Secret;
use files::fs::SearchPath;

use super::{
    Adoption, Alerts, Approvals, AuditLog, Budgets, CapEnforcer, ConnectionChoice, Connections, Dependencies, LeakScan,
    Lifetimes, PhaseHook, Ports, Projects, Session, Workspaces, abandonment::Abandonment, cap_changes::CapChanges,
    kill_switch::KillSwitch, observer::Observer, provision::Provision, reconciler::Reconciler, rotation::Rotation,
    sessions::Sessions, suspension::Suspension, teardown::Teardown,
};

/// The services of one workspace, over the same ports.
pub struct Provisioner {
    pub ports: Arc<Ports>,
    pub projects: Projects,
    pub approvals: Arc<Approvals>,
    pub audit: AuditLog,
    pub alerts: Arc<Alerts>,
    pub budgets: Budgets,
    pub caps: CapEnforcer,
    pub adoption: Arc<Adoption>,
    pub connections: Connections,
    pub lifetimes: Lifetimes,
    pub leaks: LeakScan,
    pub workspaces: Workspaces,
    session: Option<Arc<Session>>,
    alert_secret: Option<Secret>,
}

impl Provisioner {
    pub fn new(dependencies: Dependencies) -> Self {
        Self::assemble(Ports::new(dependencies), None, None)
    }

    /// Names the folder that the agent works in, where that is not the env file's.
    #[must_use]
    pub fn in_workspace(self, workspace: PathBuf) -> Self {
        let ports = (*self.ports).clone().in_workspace(workspace);
        Self::assemble(ports, self.session, self.alert_secret)
    }

    /// Says that the caller named the env file, and did not leave it to the default.
    #[must_use]
    pub fn with_named_env_file(self, named: bool) -> Self {
        let ports = Ports { env_file_named: named, ..(*self.ports).clone() };
        Self::assemble(ports, self.session, self.alert_secret)
    }

    /// Says where the programs are that may be started.
    #[must_use]
    pub fn with_programs(self, programs: SearchPath) -> Self {
        let ports = Ports { programs, ..(*self.ports).clone() };
        Self::assemble(ports, self.session, self.alert_secret)
    }

    /// Names what `connect` would record.
    #[must_use]
    pub fn choosing(self, choice: Option<ConnectionChoice>) -> Self {
        let ports = Ports { connection_choice: choice, ..(*self.ports).clone() };
        Self::assemble(ports, self.session, self.alert_secret)
    }

    /// Waits for other processes that hold the ledger at most that long.
    #[must_use]
    pub fn waiting_for_the_ledger(self, at_most: Duration) -> Self {
        let ledger = Arc::new(self.ports.ledger.waiting_at_most(at_most));
        let ports = Ports { ledger, ..(*self.ports).clone() };
        Self::assemble(ports, self.session, self.alert_secret)
    }

    /// Reports every phase to `hook`, on the thread that does the work.
    #[must_use]
    pub fn with_phase_hook(self, hook: PhaseHook) -> Self {
        let ports = Ports { phase_hook: hook, ..(*self.ports).clone() };
        Self::assemble(ports, self.session, self.alert_secret)
    }

    /// Assigns everything that is provisioned from now on to that session.
    #[must_use]
    pub fn in_session(self, session: Session) -> Self {
        Self::assemble((*self.ports).clone(), Some(Arc::new(session)), self.alert_secret)
    }

    /// Signs alerts with that secret. Without one, none is sent.
    #[must_use]
    pub fn signing_alerts_with(self, secret: Option<Secret>) -> Self {
        Self::assemble((*self.ports).clone(), self.session, secret)
    }

    /// Returns the same services over other ports, outside of the session.
    pub(super) fn over(&self, ports: Ports) -> Self {
        Self::assemble(ports, None, self.alert_secret.clone())
    }

    fn assemble(ports: Ports, session: Option<Arc<Session>>, alert_secret: Option<Secret>) -> Self {
        let ports = Arc::new(ports);
        let alerts = Arc::new(Alerts::new(Arc::clone(&ports), alert_secret.clone()));
        let observer = Arc::new(Observer::new(Arc::clone(&ports), Arc::clone(&alerts)));
        let reconciler = Arc::new(Reconciler { ports: Arc::clone(&ports) });
        let (share_ports, share_reconciler) = (|| Arc::clone(&ports), || Arc::clone(&reconciler));
        let share_observer = || Arc::clone(&observer);

        let adoption = Arc::new(Adoption { ports: share_ports(), observer: share_observer() });
        let approvals = Arc::new(Approvals { ports: share_ports() });
        let sessions = Arc::new(Sessions { ports: share_ports(), session: session.clone() });
        let cap_changes = Arc::new(CapChanges {
            ports: share_ports(),
            approvals: Arc::clone(&approvals),
            reconciler: share_reconciler(),
            observer: share_observer(),
        });
        let provision = Provision {
            ports: share_ports(),
            approvals: Arc::clone(&approvals),
            sessions: Arc::clone(&sessions),
            reconciler: share_reconciler(),
            observer: share_observer(),
            cap_changes: Arc::clone(&cap_changes),
        };
        let rotation = Rotation { ports: share_ports(), reconciler: share_reconciler(), observer: share_observer() };
        let kill_switch = Arc::new(KillSwitch { ports: share_ports() });
        let suspension = Suspension {
            ports: share_ports(),
            kill_switch: Arc::clone(&kill_switch),
            reconciler: share_reconciler(),
            observer: share_observer(),
        };
        let teardown = Arc::new(Teardown {
            ports: share_ports(),
            reconciler: share_reconciler(),
            observer: share_observer(),
            kill_switch,
        });
        let abandonment =
            Abandonment { ports: share_ports(), reconciler: share_reconciler(), observer: share_observer() };
        let projects = Projects {
            ports: share_ports(),
            observer: share_observer(),
            reconciler: share_reconciler(),
            provision,
            rotation,
            suspension: suspension.clone(),
            teardown: Arc::clone(&teardown),
            abandonment,
            cap_changes,
        };
        Self {
            projects,
            approvals,
            audit: AuditLog { ports: share_ports() },
            alerts,
            budgets: Budgets { ports: share_ports() },
            connections: Connections { ports: share_ports(), adoption: Arc::clone(&adoption) },
            adoption,
            caps: CapEnforcer { ports: share_ports(), observer: share_observer(), suspension },
            lifetimes: Lifetimes { ports: share_ports(), observer: share_observer(), sessions, teardown },
            leaks: LeakScan { ports: share_ports() },
            workspaces: Workspaces { ports: share_ports() },
            session,
            alert_secret,
            ports,
        }
    }
}

impl fmt::Debug for Provisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provisioner").field("ports", &self.ports).finish_non_exhaustive()
    }
}
