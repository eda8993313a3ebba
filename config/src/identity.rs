//! Who we are at a registry: every way to get a credential, as the configuration names it.
//! Nothing here holds a secret; what is secret is named by its file.

use std::path::PathBuf;

/// An identity of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCredentials {
    /// Where the first credentials come from.
    pub source: AwsSource,
    /// The role that is taken with them.
    pub assume_role: Option<AssumeRole>,
}

/// Where AWS credentials come from. Named, never guessed, but for [`Self::Default`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsSource {
    /// The SDK's own chain: environment, profile, web identity, container, instance.
    Default,
    /// An access key in files.
    Static {
        /// The access key's id.
        access_key_id_file: PathBuf,
        /// The secret access key.
        secret_access_key_file: PathBuf,
        /// The session token of temporary credentials.
        session_token_file: Option<PathBuf>,
    },
    /// A profile of shared configuration files.
    Profile {
        /// Its name.
        name: String,
        /// The shared credentials file, besides the SDK's own place.
        credentials_file: Option<PathBuf>,
        /// The shared configuration file, besides the SDK's own place.
        config_file: Option<PathBuf>,
    },
    /// A service account's token traded for a role (IRSA); what is not said comes from
    /// `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`.
    WebIdentity {
        /// The role.
        role_arn: Option<String>,
        /// The token; read again at each use.
        token_file: Option<PathBuf>,
    },
    /// The agent of EKS Pod Identity, or a task's endpoint in ECS.
    PodIdentity,
    /// The instance's role, by IMDSv2.
    Instance,
}

/// A role taken with other credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumeRole {
    /// The role.
    pub arn: String,
    /// What its trust policy may ask for.
    pub external_id: Option<String>,
    /// The session's name; `syncd` by default.
    pub session_name: Option<String>,
}

/// `ecr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ecr {
    /// The registry's region.
    pub region: String,
    /// Who asks.
    pub credentials: AwsCredentials,
}

/// `ecrPublic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrPublic {
    /// Who asks.
    pub credentials: AwsCredentials,
}

/// `gar`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gar {
    /// Where the first access token comes from.
    pub source: GarSource,
    /// The service account that is impersonated with it, by its address.
    pub impersonate: Option<String>,
}

/// Where Google access tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GarSource {
    /// The metadata server (`GCE_METADATA_HOST` is honoured).
    Metadata {
        /// The service account of the instance; `default` by default.
        account: String,
    },
    /// A service account's key (JSON).
    KeyFile(PathBuf),
    /// Workload identity federation: an `external_account` file (JSON).
    WorkloadIdentity(PathBuf),
}

/// `acr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acr {
    /// The directory (tenant); `AZURE_TENANT_ID` when it is not said.
    pub tenant_id: Option<String>,
    /// Who asks.
    pub credentials: AcrCredentials,
}

/// An identity of Azure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcrCredentials {
    /// A service account's token traded for the application's; what is not said comes from
    /// `AZURE_CLIENT_ID` and `AZURE_FEDERATED_TOKEN_FILE`.
    WorkloadIdentity {
        /// The application.
        client_id: Option<String>,
        /// The token; read again when it changes.
        token_file: Option<PathBuf>,
    },
    /// The machine's or a user-assigned managed identity.
    ManagedIdentity {
        /// The user-assigned one; the system's when `None`.
        client_id: Option<String>,
    },
    /// An application with a secret.
    ClientSecretFile {
        /// The application.
        client_id: String,
        /// The file of its secret.
        file: PathBuf,
    },
    /// An application with a certificate.
    ClientCertificateFile {
        /// The application.
        client_id: String,
        /// A PEM file with the certificate and its RSA key.
        file: PathBuf,
    },
}

/// `ghcr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ghcr {
    /// An installation of a GitHub App.
    App {
        /// The app's id or client id.
        app_id: String,
        /// The installation.
        installation_id: u64,
        /// The app's RSA key (PEM).
        private_key_file: PathBuf,
        /// The API; `https://api.github.com` by default.
        api_url: url::Url,
        /// Names of repositories that the token is narrowed to; all of the installation when empty.
        repositories: Vec<String>,
    },
    /// A personal access token in a file, with any user name.
    TokenFile {
        /// The user.
        username: String,
        /// The file.
        token_file: PathBuf,
    },
}

/// `helper`: a docker credential helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// `X` of `docker-credential-X`, found on the `PATH`; or an absolute path.
    pub command: String,
}
