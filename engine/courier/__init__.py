"""The courier: published results on their way to webhooks. It talks to strangers, and sees nothing but documents."""
