package stack_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"modeldispatch/internal/store/dynamodb"
)

// allTemplates returns template.yaml and the generated templates of two catalogs: the samples, and plain models that
// need no queue, bucket or policy.
func allTemplates(t *testing.T) map[string]string {
	t.Helper()
	root, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"template.yaml": string(root)}
	c, policies := samples(t)
	for name, text := range generate(t, c, policies) {
		all["samples/"+name] = string(text)
	}
	for name, text := range generate(t, catalogOf(2), nil) {
		all["plain/"+name] = string(text)
	}
	return all
}

// TestTemplatesHaveNoProblems runs all checks on the real templates: permissions, encryption, retention and names.
func TestTemplatesHaveNoProblems(t *testing.T) {
	t.Parallel()
	texts := allTemplates(t)
	if problems := findProblems(t, texts); len(problems) > 0 {
		t.Errorf("the templates have %d problems:\n%s", len(problems), strings.Join(problems, "\n"))
	}
	kinds, statements := map[string]int{}, 0
	for _, text := range texts {
		for id, body := range resourcesOf(decode(t, text)) {
			kinds[body["Type"].(string)]++
			walk(id, body, func(_ string, o object) {
				if o["Effect"] == "Allow" {
					statements++
				}
			})
		}
	}
	for _, kind := range []string{
		"AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::Events::Rule", "AWS::Scheduler::Schedule",
		"AWS::Lambda::EventSourceMapping", "AWS::ECS::TaskDefinition", "AWS::IAM::RolePolicy",
	} {
		if kinds[kind] == 0 {
			t.Errorf("no template has a %s", kind)
		}
	}
	if kinds["AWS::Serverless::Function"] != 7 || statements < 30 {
		t.Errorf("found %d functions and %d statements, want 7 functions and at least 30 statements",
			kinds["AWS::Serverless::Function"], statements)
	}
}

// mutation makes a template wrong: it replaces the first old with new, and a check must then find the problem.
type mutation struct{ old, new, problem string }

// Fragments of template.yaml that several mutations use.
const (
	none             = "" // a mutation with this new text removes the old one
	putObject        = "Action: [s3:PutObject]\n                Resource: !Sub \"${StateBucket.Arn}/*\""
	destination      = "        DestinationConfig:\n          OnFailure: {Type: SQS, Destination: !GetAtt DeadLetters.Arn}\n"
	deadLetter       = "            DeadLetterConfig: {Arn: !GetAtt DeadLetters.Arn}\n"
	messageRole      = "  MessageRole:\n    Type: AWS::IAM::Role\n"
	clusterCondition = "                Condition: {ArnEquals: {ecs:cluster: !If [MakeCluster, !GetAtt OwnCluster.Arn, !Ref Cluster]}}\n"
)

// mutations holds the mutations of each template, by file name.
var mutations = map[string][]mutation{
	"template.yaml": {
		{"Action: [s3:PutObject]", "Action: [\"s3:*\"]", "ScheduleRole: allows s3:*"},
		{putObject, "Action: [s3:PutObject]\n                Resource: \"*\"", "ScheduleRole: allows s3:PutObject on *"},
		{putObject, "Action: [s3:ListBucket]\n                Resource: \"*\"", "ScheduleRole: allows s3:ListBucket on *"},
		{putObject, "Action: [s3:PutObject]\n                Resource: [!GetAtt Table.Arn, \"*\"]", "ScheduleRole: allows s3:PutObject on *"},
		{putObject, "Action: [s3:PutObject]\n                Resource: arn:*", "ScheduleRole: allows s3:PutObject on arn:*"},
		{
			putObject,
			"Action: [s3:PutObject]\n                Resource: !Sub \"arn:${AWS::Partition}:s3:::*\"",
			"ScheduleRole: allows s3:PutObject on arn:${AWS::Partition}:s3:::*",
		},
		{putObject, "Action: [s3:PutObject]\n                NotResource: x", "ScheduleRole: uses NotAction, NotResource or NotPrincipal"},
		{
			putObject,
			"NotAction: [s3:PutObject]\n                Resource: !Ref Table",
			"ScheduleRole: uses NotAction, NotResource or NotPrincipal",
		},
		{
			"Principal: {Service: events.amazonaws.com}\n            Action",
			"Principal: \"*\"\n            Action",
			"QueuePolicy: allows * sqs:SendMessage from anywhere",
		},
		{
			"            Condition:\n              ArnLike:\n                aws:SourceArn",
			"            Metadata:\n              ArnLike:\n                aws:SourceArn",
			"QueuePolicy: allows map[Service:events.amazonaws.com] sqs:SendMessage from anywhere",
		},
		{
			"Action: sts:AssumeRole, Condition: {StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}}}",
			"Action: sts:AssumeRole}",
			"SchedulerRole: allows map[Service:scheduler.amazonaws.com] sts:AssumeRole from anywhere",
		},
		{
			"                Condition: {StringEquals: {iam:PassedToService: ecs-tasks.amazonaws.com}}\n",
			none,
			"LaunchRole: allows iam:PassRole without the condition iam:PassedToService",
		},
		{
			"task-definition/${Deployment}-*:*\" # .build/models.yaml adds the outside task definitions\n" + clusterCondition,
			"task-definition/${Deployment}-*:*\"\n",
			"LaunchRole: allows ecs:RunTask without the condition ecs:cluster",
		},
		{
			"            Condition: {StringEquals: {events:source: modeldispatch}}\n",
			none,
			"Functions: allows events:PutEvents without the condition events:source",
		},

		{"SSEEnabled: true", "SSEEnabled: false", "Table: is not encrypted"},
		{"      SSESpecification: {SSEEnabled: true}\n", none, "Table: is not encrypted"},
		{"PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "Table: cannot be restored"},
		{"SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false", "DeadLetters: is not encrypted"},
		{"BucketEncryption:", "Metadata:", "StateBucket: is not encrypted"},
		{"BlockPublicPolicy: true", "BlockPublicPolicy: false", "StateBucket: can become public"},
		{"Type: AWS::S3::BucketPolicy", "Type: AWS::CloudFormation::WaitConditionHandle", "StateBucket: accepts requests without TLS"},
		{"Type: AWS::SQS::QueuePolicy", "Type: AWS::CloudFormation::WaitConditionHandle", "WakeQueue: accepts requests without TLS"},
		{
			"[!Ref DeadLetters, !Ref LaunchQueue, !Ref WakeQueue]",
			"[!Ref DeadLetters, !Ref WakeQueue]",
			"LaunchQueue: accepts requests without TLS",
		},
		{"Type: AWS::SNS::TopicPolicy", "Type: AWS::CloudFormation::WaitConditionHandle", "Alarms: accepts requests without TLS"},
		{
			"      RedrivePolicy: {deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 5}\n",
			none,
			"LaunchQueue: has no RedrivePolicy",
		},
		{
			"    DeletionPolicy: RetainExceptOnCreate\n    UpdateReplacePolicy: Retain\n    Properties:\n      TableName",
			"    UpdateReplacePolicy: Retain\n    Properties:\n      TableName",
			"Table: is not retained",
		},
		{"    UpdateReplacePolicy: Retain\n    Properties:\n      TableName", "    Properties:\n      TableName", "Table: is not retained"},
		{
			"    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n    Properties:\n      BucketEncryption",
			"    Properties:\n      BucketEncryption",
			"StateBucket: is not retained",
		},
		{"      EventInvokeConfig:\n" + destination, none, "Schedule: has no destination for failures"},
		{destination, "        MaximumRetryAttempts: 0\n", "Schedule: has no destination for failures"},
		{deadLetter, none, "Completion: event TaskStateChange has no DeadLetterConfig"},
		{
			"                startedBy: [{prefix: !Sub \"${Deployment}/\"}]\n",
			none,
			"Completion: event TaskStateChange matches tasks of other deployments",
		},
		{
			"            FunctionResponseTypes: [ReportBatchItemFailures]\n",
			none,
			"Launch: has no ReportBatchItemFailures: one bad message would fail its whole batch",
		},
		{"            ScalingConfig: {MaximumConcurrency: 10}\n", none, "Launch: has no MaximumConcurrency"},
		{"        Messages: #", "        Queue: #", "Launch: event Queue gets the logical id LaunchQueue, which another resource has"},
		{"      Role: !GetAtt ScheduleRole.Arn\n", none, "Schedule: has no Role"},

		{"FunctionName: !Sub \"${Deployment}-schedule\"", "FunctionName: schedule", "Schedule: FunctionName schedule lacks the deployment's"},
		{"DashboardName: !Ref Deployment", "DashboardName: modeldispatch", "Dashboard: DashboardName modeldispatch lacks"},
		{"      BucketEncryption", "      BucketName: state\n      BucketEncryption", "StateBucket: BucketName state lacks"},
		{"      Subscription: [", "      TopicName: alarms\n      Subscription: [", "Alarms: TopicName alarms lacks"},
		{"      AlarmDescription", "      AlarmName: x\n      AlarmDescription", "DeadLettersAlarm: AlarmName x lacks"},
		{messageRole + "    Properties:\n", messageRole + "    Properties:\n      RoleName: message\n", "MessageRole: RoleName message lacks"},
		{"      LayerName: !Ref Deployment\n", none, "Catalog: has no LayerName"},
		{"LayerName: !Ref Deployment", "LayerName: catalog", "Catalog: LayerName catalog lacks"},
		{"RuleName: !Sub \"${Deployment}-completion\"", "RuleName: completion", "Completion: RuleName completion lacks"},
		{"Name: !Sub \"${Deployment}-sweep\"\n            Schedule", "Name: sweep\n            Schedule", "Sweep: Name sweep lacks"},

		{"arn:${AWS::Partition}:s", "arn:aws:s", "template.yaml: contains arn:aws:"},
		{"arn:${AWS::Partition}:iam", "arn:aws-cn:iam", "template.yaml: contains arn:aws-cn:"},
		{":${AWS::AccountId}:role/", ":444455556666:role/", "template.yaml: contains 444455556666"},
		{"logs:${AWS::Region}", "logs:eu-west-1", "template.yaml: contains eu-west-1"},
		{"logs:${AWS::Region}", "logs:us-gov-west-1", "template.yaml: contains us-gov-west-1"},
		{"logs:${AWS::Region}", "logs:il-central-1", "template.yaml: contains il-central-1"},
		{"logs:${AWS::Region}", "logs:ap-southeast-5", "template.yaml: contains ap-southeast-5"},

		{messageRole, messageRole + "    DependsOn: Models\n", "MessageRole: depends on the nested stack"},
		{messageRole, messageRole + "    DependsOn: [Table, Models]\n", "MessageRole: depends on the nested stack"},
		{
			messageRole + "    Properties:\n",
			messageRole + "    Properties:\n      Description: !Ref Models\n",
			"MessageRole: refers to the nested stack",
		},
		{
			messageRole + "    Properties:\n",
			messageRole + "    Properties:\n      Description: !GetAtt Models.Outputs.X\n",
			"MessageRole: refers to the nested stack",
		},
		{
			messageRole + "    Properties:\n",
			messageRole + "    Properties:\n      Description: !Sub \"${Models.Outputs.X}\"\n",
			"MessageRole: refers to the nested stack",
		},
		{"        SweepRole: !Ref SweepRole\n", none, "plain/models.yaml: declares different parameters"},
	},
	"samples/models.yaml": {
		{"Fn::Sub: ${Deployment}-arrival-", "Fn::Sub: arrival-", "Arrival4a12b969a182cc5d: Name map[Fn::Sub:arrival-4a12b969] lacks"},
		{"Sid: ABucketDependsOnInputs", "NotResource: x", "FindBoth: uses NotAction, NotResource or NotPrincipal"},
		{
			"        DeadLetterConfig:\n          Arn:\n            Ref: DeadLetters\n",
			none,
			"Arrival4a12b969a182cc5d: has a target without DeadLetterConfig",
		},
		{
			"      - ReportBatchItemFailures\n",
			"      - Nothing\n",
			"has no ReportBatchItemFailures: one bad message would fail its whole batch",
		},
		{
			"DeletionPolicy: RetainExceptOnCreate",
			"DeletionPolicy: Delete",
			"QueueRequestsec72420d: is not retained: its messages would be lost",
		},
		{"aws:SecureTransport: \"false\"", "aws:SecureTransport: \"true\"", "QueueRequestsec72420d: accepts requests without TLS"},
		{"SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false", "QueueRequestsec72420d: is not encrypted"},
		{
			"          Condition:\n            ArnEquals:\n              ecs:cluster:\n",
			"          Metadata:\n            ArnEquals:\n              ecs:cluster:\n",
			"RunOthers: allows ecs:RunTask without the condition ecs:cluster",
		},
		{"arn:${AWS::Partition}:ecs:", "arn:aws:ecs:", "samples/models.yaml: contains arn:aws:"},
	},
	"samples/models-2.yaml": {
		{"GroupName:\n        Ref: Deployment", "GroupName: default", "GroupName default is not the deployment"},
		{"        DeadLetterConfig:\n          Arn:\n            Ref: DeadLetters\n", none, "has a target without DeadLetterConfig"},
		{"Fn::Sub: ${Deployment}-earthquake", "Fn::Sub: earthquake", "Family map[Fn::Sub:earthquake"},
		{"DeletionPolicy: Retain", "DeletionPolicy: Delete", "is not retained"},
		{"      ExecutionRoleArn:\n        Ref: ExecutionRole\n", none, "has no ExecutionRoleArn"},
	},
}

// TestProblemsAreFound makes the real templates wrong, one mutation at a time, and expects each problem to be found.
func TestProblemsAreFound(t *testing.T) {
	t.Parallel()
	texts := allTemplates(t)
	for file, all := range mutations {
		for _, m := range all {
			t.Run(file+"/"+m.problem, func(t *testing.T) {
				t.Parallel()
				if !strings.Contains(texts[file], m.old) {
					t.Fatalf("%s does not contain %q", file, m.old)
				}
				changed := maps.Clone(texts)
				changed[file] = strings.Replace(texts[file], m.old, m.new, 1)
				problems := findProblems(t, changed)
				if !slices.ContainsFunc(problems, func(one string) bool { return strings.Contains(one, m.problem) }) {
					t.Errorf("with %q in place of %q the problems are %q, want %q", m.new, m.old, problems, m.problem)
				}
			})
		}
	}
}

// TestTableMatchesTheStore compares template.yaml's table with the table that the store creates in tests: keys,
// indexes, projections and attributes.
func TestTableMatchesTheStore(t *testing.T) {
	t.Parallel()
	p := at(decode(t, allTemplates(t)["template.yaml"]), "Resources", "Table", "Properties")
	keys := func(v any) string {
		var all []string
		for _, one := range v.([]any) {
			all = append(all, at(one, "AttributeName").(string)+" "+at(one, "KeyType").(string))
		}
		return strings.Join(all, ", ")
	}
	got := []string{"table: " + keys(at(p, "KeySchema"))}
	for _, index := range at(p, "GlobalSecondaryIndexes").([]any) {
		line := at(index, "IndexName").(string) + ": " + keys(at(index, "KeySchema")) + " " + at(index, "Projection", "ProjectionType").(string)
		if attributes := at(index, "Projection", "NonKeyAttributes"); attributes != nil {
			line += " " + strings.Join(texts(attributes), " ")
		}
		got = append(got, line)
	}
	for _, a := range at(p, "AttributeDefinitions").([]any) {
		got = append(got, at(a, "AttributeName").(string)+" is "+at(a, "AttributeType").(string))
	}
	if want := describe(dynamodb.Table("store")); !slices.Equal(sortedTexts(got), sortedTexts(want)) {
		t.Errorf("template.yaml creates\n%s\nand the store uses\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// describe returns one line for each key schema, index and attribute of a table.
func describe(table *client.CreateTableInput) []string {
	keys := func(schema []types.KeySchemaElement) string {
		var all []string
		for _, key := range schema {
			all = append(all, *key.AttributeName+" "+string(key.KeyType))
		}
		return strings.Join(all, ", ")
	}
	all := []string{"table: " + keys(table.KeySchema)}
	for _, index := range table.GlobalSecondaryIndexes {
		projection := append([]string{string(index.Projection.ProjectionType)}, index.Projection.NonKeyAttributes...)
		all = append(all, *index.IndexName+": "+keys(index.KeySchema)+" "+strings.Join(projection, " "))
	}
	for _, a := range table.AttributeDefinitions {
		all = append(all, *a.AttributeName+" is "+string(a.AttributeType))
	}
	return all
}

func sortedTexts(all []string) []string { return slices.Sorted(slices.Values(all)) }
