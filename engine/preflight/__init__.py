"""What is looked at the day before a joint exam: each part is judged by pure rules and told of in two languages."""
