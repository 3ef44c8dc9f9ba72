"""What people are told of a refusal or an escalation: `saying` makes the sentences, `texts` holds their words."""
