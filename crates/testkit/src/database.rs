//! A migrated database of one's own.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use holdfast_pg::{AppDb, DatabaseUrl, PoolConfig, ReadDb, Role, TaskDb, migrate};
use rand::Rng as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, postgres::PgPoolOptions};

use crate::{Patroni, Postgres, eventually, pgbouncer};

const WAITED_FOR_WITHIN: Duration = Duration::from_secs(60);

/// Partitions from last week's to this many weeks ahead.
const WEEKS_AHEAD: i32 = 4;

/// One database with a login for each role. It goes with its server.
pub struct Database {
    name: String,
    admin_url: DatabaseUrl,
    urls: BTreeMap<Role, DatabaseUrl>,
    admin: PgPool,
}

impl Database {
    /// A copy of the migrated template, on the server that all tests of this process share: every schema at its newest
    /// version, partitions made, no rows.
    pub async fn create() -> Result<Self> {
        Self::create_on(Postgres::shared().await?).await
    }

    pub async fn create_on(postgres: &Postgres) -> Result<Self> {
        let template = postgres.template.get_or_try_init(|| make_template(postgres)).await?;
        Self::copy_of(postgres, template).await
    }

    /// Nothing in it, not even schemas: for tests of the migrations themselves.
    pub async fn create_empty() -> Result<Self> {
        Self::copy_of(Postgres::shared().await?, "template0").await
    }

    async fn copy_of(postgres: &Postgres, template: &str) -> Result<Self> {
        let name = format!("test_{:016x}", rand::rng().random::<u64>());
        administer(postgres, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        let mut urls = BTreeMap::new();
        for role in Role::ALL {
            urls.insert(role, postgres.login(role, &name)?);
        }
        let admin_url = postgres.admin_url(&name)?;
        Self::at(name, urls, admin_url)
    }

    /// The one database of a PostgreSQL that fails over.
    pub async fn create_under(patroni: &Patroni) -> Result<Self> {
        const NAME: &str = "postgres";
        let admin_url = patroni.url("postgres", NAME)?;
        prepare(&admin_url).await?;
        pgbouncer::set_passwords(&admin_url).await?;
        let urls = Role::ALL.into_iter().map(|role| Ok((role, patroni.url(role.name(), NAME)?)));
        Self::at(NAME.to_owned(), urls.collect::<Result<_>>()?, admin_url)
    }

    fn at(name: String, urls: BTreeMap<Role, DatabaseUrl>, admin_url: DatabaseUrl) -> Result<Self> {
        let admin = PgPoolOptions::new().max_connections(10).connect_lazy(admin_url.expose())?;
        Ok(Self { name, admin_url, urls, admin })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// As the role's program reaches it, see [`Postgres::service_port`].
    pub fn url(&self, role: Role) -> &DatabaseUrl {
        // Every role of Role::ALL was put there.
        &self.urls[&role]
    }

    pub fn admin_url(&self) -> &DatabaseUrl {
        &self.admin_url
    }

    /// As the superuser, whom row-level security does not bind: for arranging and for checkers.
    pub fn admin(&self) -> &PgPool {
        &self.admin
    }

    /// Waits until so many sessions wait for what the connection has locked, or for one of those that do.
    pub async fn is_waited_for(&self, rival: &mut PgConnection, sessions: i64) -> Result<()> {
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(rival).await?;
        let look = || async {
            let waits = "WITH RECURSIVE waits (pid) AS (
                    SELECT $1
                    UNION
                    SELECT activity.pid
                    FROM pg_stat_activity AS activity JOIN waits ON waits.pid = ANY (pg_blocking_pids(activity.pid))
                )
                SELECT count(*) - 1 FROM waits";
            let waiting: i64 = sqlx::query_scalar(waits).bind(pid).fetch_one(&self.admin).await?;
            ensure!(waiting >= sessions, "{waiting} of {sessions} wait");
            Ok(())
        };
        eventually(look, WAITED_FOR_WITHIN).await
    }

    /// The jobs service's handle for its callers.
    pub fn app(&self) -> Result<AppDb> {
        Ok(AppDb::open(&PoolConfig::new(self.url(Role::JobsApp).clone()), "test")?)
    }

    /// The jobs service's handle for lists, on the primary.
    pub fn read(&self) -> Result<ReadDb> {
        Ok(ReadDb::open(&PoolConfig::new(self.url(Role::JobsApp).clone()), "test")?)
    }

    /// The jobs service's handle for itself.
    pub fn task(&self) -> Result<TaskDb> {
        Ok(TaskDb::open(&PoolConfig::new(self.url(Role::JobsTask).clone()), "test")?)
    }

    /// The locks service's handle for its callers.
    pub fn locks_app(&self) -> Result<AppDb> {
        Ok(AppDb::open(&PoolConfig::new(self.url(Role::LocksApp).clone()), "test")?)
    }

    /// The locks service's handle for itself.
    pub fn locks_task(&self) -> Result<TaskDb> {
        Ok(TaskDb::open(&PoolConfig::new(self.url(Role::LocksTask).clone()), "test")?)
    }

    /// The relay's handle.
    pub fn relay(&self) -> Result<TaskDb> {
        Ok(TaskDb::open(&PoolConfig::new(self.url(Role::Relay).clone()), "test")?)
    }
}

async fn make_template(postgres: &Postgres) -> Result<String> {
    let name = "holdfast_template".to_owned();
    // Where an earlier attempt failed half-way, its remains go first.
    administer(postgres, &format!("DROP DATABASE IF EXISTS {name}")).await?;
    administer(postgres, &format!("CREATE DATABASE {name}")).await?;
    let url = postgres.admin_url(&name)?;
    prepare(&url).await?;
    if postgres.pgbouncer().is_some() {
        pgbouncer::set_passwords(&url).await?;
    }
    // A session on it, autovacuum's too, would make every copy wait.
    administer(postgres, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await?;
    Ok(name)
}

/// Roles, every migration, and partitions.
async fn prepare(url: &DatabaseUrl) -> Result<()> {
    migrate::bootstrap(url, &migrate::Passwords::new()).await?;
    for schema in migrate::schemas() {
        migrate::up(url, schema).await.with_context(|| format!("migrations of schema {schema}"))?;
    }
    let mut connection = PgConnection::connect(url.expose()).await?;
    for schema in ["jobs", "locks"] {
        let make = AssertSqlSafe(format!("SELECT {schema}.ensure_partitions($1)"));
        sqlx::query(make).bind(WEEKS_AHEAD).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

async fn administer(postgres: &Postgres, statement: &str) -> Result<()> {
    let mut connection = PgConnection::connect(postgres.admin_url("postgres")?.expose()).await?;
    connection.execute(AssertSqlSafe(statement.to_owned())).await.with_context(|| statement.to_owned())?;
    Ok(connection.close().await?)
}
