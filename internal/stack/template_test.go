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

// theTemplates are template.yaml, and what is generated for the samples and for models that bring nothing of their own.
func theTemplates(t *testing.T) map[string]string {
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
	for name, text := range generate(t, many(2), nil) {
		all["plain/"+name] = string(text)
	}
	return all
}

// TestTheTemplatesAreSound: least in privilege, nothing lost or in the clear, all with the deployment's name.
func TestTheTemplatesAreSound(t *testing.T) {
	t.Parallel()
	texts := theTemplates(t)
	if wrong := problems(t, texts); len(wrong) > 0 {
		t.Errorf("%d things are wrong:\n%s", len(wrong), strings.Join(wrong, "\n"))
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
	for _, kind := range []string{"AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::Events::Rule", "AWS::Scheduler::Schedule", "AWS::Lambda::EventSourceMapping", "AWS::ECS::TaskDefinition", "AWS::IAM::RolePolicy"} {
		if kinds[kind] == 0 {
			t.Errorf("no template has a %s", kind)
		}
	}
	if kinds["AWS::Serverless::Function"] != 7 || statements < 30 {
		t.Errorf("there are %d functions, want 7, and %d statements to look at, want 30 and more", kinds["AWS::Serverless::Function"], statements)
	}
}

// mutation is something that is wrong: old becomes new, the first time that old is there.
type mutation struct{ old, new, wrong string }

const none = "" // it is left out

// TestWhatIsWrongIsFound changes the real templates, one thing at a time.
func TestWhatIsWrongIsFound(t *testing.T) {
	t.Parallel()
	const putObject = "Action: [s3:PutObject]\n                Resource: !Sub \"${StateBucket.Arn}/*\""
	const destination = "        DestinationConfig:\n          OnFailure: {Type: SQS, Destination: !GetAtt DeadLetters.Arn}\n"
	const deadLetter = "            DeadLetterConfig: {Arn: !GetAtt DeadLetters.Arn}\n"
	const messageRole = "  MessageRole:\n    Type: AWS::IAM::Role\n"
	const cluster = "                Condition: {ArnEquals: {ecs:cluster: !If [MakeCluster, !GetAtt OwnCluster.Arn, !Ref Cluster]}}\n"
	for file, mutations := range map[string][]mutation{
		"template.yaml": {
			{"Action: [s3:PutObject]", "Action: [\"s3:*\"]", "ScheduleRole: allows s3:*"},
			{putObject, "Action: [s3:PutObject]\n                Resource: \"*\"", "ScheduleRole: allows s3:PutObject on *"},
			{putObject, "Action: [s3:ListBucket]\n                Resource: \"*\"", "ScheduleRole: allows s3:ListBucket on *"},
			{putObject, "Action: [s3:PutObject]\n                Resource: [!GetAtt Table.Arn, \"*\"]", "ScheduleRole: allows s3:PutObject on *"},
			{putObject, "Action: [s3:PutObject]\n                Resource: arn:*", "ScheduleRole: allows s3:PutObject on arn:*"},
			{putObject, "Action: [s3:PutObject]\n                Resource: !Sub \"arn:${AWS::Partition}:s3:::*\"", "ScheduleRole: allows s3:PutObject on arn:${AWS::Partition}:s3:::*"},
			{putObject, "Action: [s3:PutObject]\n                NotResource: x", "ScheduleRole: allows all but something"},
			{putObject, "NotAction: [s3:PutObject]\n                Resource: !Ref Table", "ScheduleRole: allows all but something"},
			{"Principal: {Service: events.amazonaws.com}\n            Action", "Principal: \"*\"\n            Action", "QueuePolicy: allows * sqs:SendMessage from anywhere"},
			{"            Condition:\n              ArnLike:\n                aws:SourceArn", "            Metadata:\n              ArnLike:\n                aws:SourceArn", "QueuePolicy: allows map[Service:events.amazonaws.com] sqs:SendMessage from anywhere"},
			{"Action: sts:AssumeRole, Condition: {StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}}}", "Action: sts:AssumeRole}", "SchedulerRole: allows map[Service:scheduler.amazonaws.com] sts:AssumeRole from anywhere"},
			{"                Condition: {StringEquals: {iam:PassedToService: ecs-tasks.amazonaws.com}}\n", none, "LaunchRole: allows iam:PassRole without the condition iam:PassedToService"},
			{"task-definition/${Deployment}-*:*\" # those of others are allowed one by one in .build/models.yaml\n" + cluster, "task-definition/${Deployment}-*:*\"\n", "LaunchRole: allows ecs:RunTask without the condition ecs:cluster"},
			{"            Condition: {StringEquals: {events:source: modeldispatch}}\n", none, "Functions: allows events:PutEvents without the condition events:source"},

			{"SSEEnabled: true", "SSEEnabled: false", "Table: is not encrypted"},
			{"      SSESpecification: {SSEEnabled: true}\n", none, "Table: is not encrypted"},
			{"PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "Table: cannot be restored"},
			{"SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false", "DeadLetters: is not encrypted"},
			{"BucketEncryption:", "Metadata:", "StateBucket: is not encrypted"},
			{"BlockPublicPolicy: true", "BlockPublicPolicy: false", "StateBucket: could be made public"},
			{"Type: AWS::S3::BucketPolicy", "Type: AWS::CloudFormation::WaitConditionHandle", "StateBucket: takes what is not encrypted"},
			{"Type: AWS::SQS::QueuePolicy", "Type: AWS::CloudFormation::WaitConditionHandle", "WakeQueue: takes what is not encrypted"},
			{"[!Ref DeadLetters, !Ref LaunchQueue, !Ref WakeQueue]", "[!Ref DeadLetters, !Ref WakeQueue]", "LaunchQueue: takes what is not encrypted"},
			{"Type: AWS::SNS::TopicPolicy", "Type: AWS::CloudFormation::WaitConditionHandle", "Alarms: takes what is not encrypted"},
			{"      RedrivePolicy: {deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 5}\n", none, "LaunchQueue: has no RedrivePolicy"},
			{"    DeletionPolicy: RetainExceptOnCreate\n    UpdateReplacePolicy: Retain\n    Properties:\n      TableName", "    UpdateReplacePolicy: Retain\n    Properties:\n      TableName", "Table: is deleted"},
			{"    UpdateReplacePolicy: Retain\n    Properties:\n      TableName", "    Properties:\n      TableName", "Table: is deleted"},
			{"    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n    Properties:\n      BucketEncryption", "    Properties:\n      BucketEncryption", "StateBucket: is deleted"},
			{"      EventInvokeConfig:\n" + destination, none, "Schedule: has no destination for failures"},
			{destination, "        MaximumRetryAttempts: 0\n", "Schedule: has no destination for failures"},
			{deadLetter, none, "Completion: event TaskStateChange has no DeadLetterConfig"},
			{"                startedBy: [{prefix: !Sub \"${Deployment}/\"}]\n", none, "Completion: event TaskStateChange is of tasks of others, too"},
			{"            FunctionResponseTypes: [ReportBatchItemFailures]\n", none, "Launch: one bad message would take its whole batch with it"},
			{"            ScalingConfig: {MaximumConcurrency: 10}\n", none, "Launch: could use up all concurrency"},
			{"        Messages: #", "        Queue: #", "Launch: event Queue would be LaunchQueue, which is another resource"},
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

			{"arn:${AWS::Partition}:s", "arn:aws:s", "template.yaml: names arn:aws:"},
			{"arn:${AWS::Partition}:iam", "arn:aws-cn:iam", "template.yaml: names arn:aws-cn:"},
			{":${AWS::AccountId}:role/", ":444455556666:role/", "template.yaml: names 444455556666"},
			{"logs:${AWS::Region}", "logs:eu-west-1", "template.yaml: names eu-west-1"},
			{"logs:${AWS::Region}", "logs:us-gov-west-1", "template.yaml: names us-gov-west-1"},
			{"logs:${AWS::Region}", "logs:il-central-1", "template.yaml: names il-central-1"},
			{"logs:${AWS::Region}", "logs:ap-southeast-5", "template.yaml: names ap-southeast-5"},

			{messageRole, messageRole + "    DependsOn: Models\n", "MessageRole: depends on the stack that is nested"},
			{messageRole, messageRole + "    DependsOn: [Table, Models]\n", "MessageRole: depends on the stack that is nested"},
			{messageRole + "    Properties:\n", messageRole + "    Properties:\n      Description: !Ref Models\n", "MessageRole: takes something back"},
			{messageRole + "    Properties:\n", messageRole + "    Properties:\n      Description: !GetAtt Models.Outputs.X\n", "MessageRole: takes something back"},
			{messageRole + "    Properties:\n", messageRole + "    Properties:\n      Description: !Sub \"${Models.Outputs.X}\"\n", "MessageRole: takes something back"},
			{"        SweepRole: !Ref SweepRole\n", none, "plain/models.yaml: takes other parameters"},
		},
		"samples/models.yaml": {
			{"Fn::Sub: ${Deployment}-arrival-", "Fn::Sub: arrival-", "Arrival4a12b969a182cc5d: Name map[Fn::Sub:arrival-4a12b969] lacks"},
			{"Sid: ABucketDependsOnInputs", "NotResource: x", "FindBoth: allows all but something"},
			{"        DeadLetterConfig:\n          Arn:\n            Ref: DeadLetters\n", none, "Arrival4a12b969a182cc5d: has a target without DeadLetterConfig"},
			{"      - ReportBatchItemFailures\n", "      - Nothing\n", "one bad message would take its whole batch with it"},
			{"DeletionPolicy: RetainExceptOnCreate", "DeletionPolicy: Delete", "QueueRequestsec72420d: is deleted with what is in it"},
			{"aws:SecureTransport: \"false\"", "aws:SecureTransport: \"true\"", "QueueRequestsec72420d: takes what is not encrypted"},
			{"SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false", "QueueRequestsec72420d: is not encrypted"},
			{"          Condition:\n            ArnEquals:\n              ecs:cluster:\n", "          Metadata:\n            ArnEquals:\n              ecs:cluster:\n", "RunOthers: allows ecs:RunTask without the condition ecs:cluster"},
			{"arn:${AWS::Partition}:ecs:", "arn:aws:ecs:", "samples/models.yaml: names arn:aws:"},
		},
		"samples/models-2.yaml": {
			{"GroupName:\n        Ref: Deployment", "GroupName: default", "GroupName default is not the deployment's"},
			{"        DeadLetterConfig:\n          Arn:\n            Ref: DeadLetters\n", none, "has a target without DeadLetterConfig"},
			{"Fn::Sub: ${Deployment}-earthquake", "Fn::Sub: earthquake", "Family map[Fn::Sub:earthquake"},
			{"DeletionPolicy: Retain", "DeletionPolicy: Delete", "is deregistered"},
			{"      ExecutionRoleArn:\n        Ref: ExecutionRole\n", none, "has no ExecutionRoleArn"},
		},
	} {
		texts := theTemplates(t)
		for _, m := range mutations {
			t.Run(file+"/"+m.wrong, func(t *testing.T) {
				t.Parallel()
				if !strings.Contains(texts[file], m.old) {
					t.Fatalf("%s has no %q to change", file, m.old)
				}
				changed := maps.Clone(texts)
				changed[file] = strings.Replace(texts[file], m.old, m.new, 1)
				wrong := problems(t, changed)
				if !slices.ContainsFunc(wrong, func(one string) bool { return strings.Contains(one, m.wrong) }) {
					t.Errorf("%q for %q is found to be wrong as %q, want %q", m.new, m.old, wrong, m.wrong)
				}
			})
		}
	}
}

// TestTheTableIsTheOneThatTheStoreUses, with its keys, its indexes and what they hold.
func TestTheTableIsTheOneThatTheStoreUses(t *testing.T) {
	t.Parallel()
	p := at(decode(t, theTemplates(t)["template.yaml"]), "Resources", "Table", "Properties")
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
		if held := at(index, "Projection", "NonKeyAttributes"); held != nil {
			line += " " + strings.Join(texts(held), " ")
		}
		got = append(got, line)
	}
	for _, a := range at(p, "AttributeDefinitions").([]any) {
		got = append(got, at(a, "AttributeName").(string)+" is "+at(a, "AttributeType").(string))
	}
	if wanted := described(dynamodb.Table("store")); !slices.Equal(sortedTexts(got), sortedTexts(wanted)) {
		t.Errorf("template.yaml makes\n%s\nand the store uses\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}

// described is a table as it is created.
func described(table *client.CreateTableInput) []string {
	keys := func(schema []types.KeySchemaElement) string {
		var all []string
		for _, key := range schema {
			all = append(all, *key.AttributeName+" "+string(key.KeyType))
		}
		return strings.Join(all, ", ")
	}
	all := []string{"table: " + keys(table.KeySchema)}
	for _, index := range table.GlobalSecondaryIndexes {
		held := append([]string{string(index.Projection.ProjectionType)}, index.Projection.NonKeyAttributes...)
		all = append(all, *index.IndexName+": "+keys(index.KeySchema)+" "+strings.Join(held, " "))
	}
	for _, a := range table.AttributeDefinitions {
		all = append(all, *a.AttributeName+" is "+string(a.AttributeType))
	}
	return all
}

func sortedTexts(all []string) []string { return slices.Sorted(slices.Values(all)) }
