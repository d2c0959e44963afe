package taskdef

// describedOnly lists the fields that only describe-task-definition answers: register-task-definition rejects them, and
// CloudFormation does not know them. TestDescribedOnly compares it with the AWS SDK.
var describedOnly = []string{
	"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt",
	"deleteRequestedAt",
}

// members holds the field names that ECS's RegisterTaskDefinition accepts in each object of a task definition. The
// key is the object's path without list indexes. Objects that are not in it, such as dockerLabels, have keys that the
// user chooses. TestMembers compares it with the AWS SDK.
var members = map[string]string{
	"": `
		containerDefinitions family cpu enableFaultInjection ephemeralStorage executionRoleArn inferenceAccelerators ipcMode
		memory networkMode pidMode placementConstraints proxyConfiguration requiresCompatibilities runtimePlatform tags
		taskRoleArn volumes`,
	"containerDefinitions": `
		command cpu credentialSpecs dependsOn disableNetworking dnsSearchDomains dnsServers dockerLabels dockerSecurityOptions
		entryPoint environment environmentFiles essential extraHosts firelensConfiguration healthCheck hostname image
		interactive links linuxParameters logConfiguration memory memoryReservation mountPoints name portMappings privileged
		pseudoTerminal readonlyRootFilesystem repositoryCredentials resourceRequirements restartPolicy secrets startTimeout
		stopTimeout systemControls ulimits user versionConsistency volumesFrom workingDirectory`,
	"containerDefinitions.dependsOn":                      "condition containerName",
	"containerDefinitions.environment":                    "name value",
	"containerDefinitions.environmentFiles":               "type value",
	"containerDefinitions.extraHosts":                     "hostname ipAddress",
	"containerDefinitions.firelensConfiguration":          "type options",
	"containerDefinitions.healthCheck":                    "command interval retries startPeriod timeout",
	"containerDefinitions.linuxParameters":                "capabilities devices initProcessEnabled maxSwap sharedMemorySize swappiness tmpfs",
	"containerDefinitions.linuxParameters.capabilities":   "add drop",
	"containerDefinitions.linuxParameters.devices":        "hostPath containerPath permissions",
	"containerDefinitions.linuxParameters.tmpfs":          "containerPath size mountOptions",
	"containerDefinitions.logConfiguration":               "logDriver options secretOptions",
	"containerDefinitions.logConfiguration.secretOptions": "name valueFrom",
	"containerDefinitions.mountPoints":                    "containerPath readOnly sourceVolume",
	"containerDefinitions.portMappings":                   "appProtocol containerPort containerPortRange hostPort name protocol",
	"containerDefinitions.repositoryCredentials":          "credentialsParameter",
	"containerDefinitions.resourceRequirements":           "type sharingStrategy value",
	"containerDefinitions.restartPolicy":                  "enabled ignoredExitCodes restartAttemptPeriod",
	"containerDefinitions.secrets":                        "name valueFrom",
	"containerDefinitions.systemControls":                 "namespace value",
	"containerDefinitions.ulimits":                        "hardLimit name softLimit",
	"containerDefinitions.volumesFrom":                    "readOnly sourceContainer",
	"ephemeralStorage":                                    "sizeInGiB",
	"inferenceAccelerators":                               "deviceName deviceType",
	"placementConstraints":                                "expression type",
	"proxyConfiguration":                                  "containerName properties type",
	"proxyConfiguration.properties":                       "name value",
	"runtimePlatform":                                     "cpuArchitecture operatingSystemFamily",
	"tags":                                                "key value",
	"volumes": `
		configuredAtLaunch dockerVolumeConfiguration efsVolumeConfiguration fsxWindowsFileServerVolumeConfiguration host name
		s3filesVolumeConfiguration`,
	"volumes.dockerVolumeConfiguration": "autoprovision driver driverOpts labels scope",
	"volumes.efsVolumeConfiguration": `
		fileSystemId authorizationConfig rootDirectory transitEncryption transitEncryptionPort`,
	"volumes.efsVolumeConfiguration.authorizationConfig":                  "accessPointId iam",
	"volumes.fsxWindowsFileServerVolumeConfiguration":                     "authorizationConfig fileSystemId rootDirectory",
	"volumes.fsxWindowsFileServerVolumeConfiguration.authorizationConfig": "credentialsParameter domain",
	"volumes.host":                       "sourcePath",
	"volumes.s3filesVolumeConfiguration": "fileSystemArn accessPointArn rootDirectory transitEncryptionPort",
}
